-- counts: how many jobs stand in each state, at one moment.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base
-- Returns  {waiting, active, completed, failed, delayed, paused, schedules, is_paused}   is_paused is 1 or 0
-- Wire     Bull 4.16.5, getJobCounts, isPaused
local base = ARGV[1]
local is_paused = redis.call("EXISTS", base .. "meta-paused") == 1 or redis.call("HEXISTS", base .. "meta", "paused") == 1
return {
  redis.call("LLEN", base .. "wait"),
  redis.call("LLEN", base .. "active"),
  redis.call("ZCARD", base .. "completed"),
  redis.call("ZCARD", base .. "failed"),
  redis.call("ZCARD", base .. "delayed"),
  redis.call("LLEN", base .. "paused"),
  redis.call("ZCARD", base .. "repeat"),
  is_paused and 1 or 0,
}
