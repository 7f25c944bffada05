-- progress: note how far a job is, and tell.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id   3 value     JSON
--          4 message   what is published: {"jobId": …, "progress": …}
--          5 token, 6 late   who says so, see has_lost
-- Returns  1, or 0 when there is no such job, -6 when the lock is not the token's
-- Wire     Bull 4.16.5, updateProgress; wire document 3.18
-- include: has_lost
local base, job_id = ARGV[1], ARGV[2]
if redis.call("EXISTS", base .. job_id) == 0 then
  return 0
end
if has_lost(base .. job_id, ARGV[5], ARGV[6]) then
  return -6
end
redis.call("HSET", base .. job_id, "progress", ARGV[3])
redis.call("PUBLISH", base .. "progress", ARGV[4])
return 1
