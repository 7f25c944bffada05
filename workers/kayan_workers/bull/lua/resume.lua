-- resume: let workers take jobs of this queue again.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base
-- Returns  1
-- Wire     Bull 4.16.5, pause; wire document 3.17, W16
local base = ARGV[1]

-- include: push_waiting
-- include: push_many
-- include: merge_lists

if redis.call("EXISTS", base .. "paused") == 1 then
  if redis.call("EXISTS", base .. "wait") == 1 then
    merge_into_paused(base)
  end
  redis.call("RENAME", base .. "paused", base .. "wait")
end
redis.call("DEL", base .. "meta-paused")
redis.call("HDEL", base .. "meta", "paused")
redis.call("PUBLISH", base .. "resumed", "resumed")
return 1
