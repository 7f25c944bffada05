-- update: give a job another payload.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id   3 data   JSON
--          4 token, 5 late   who says so, see has_lost
-- Returns  1, or 0 when there is no such job, -6 when the lock is not the token's
-- Wire     Bull 4.16.5, updateData; wire document 3.18
-- include: has_lost
local key = ARGV[1] .. ARGV[2]
if redis.call("EXISTS", key) == 0 then
  return 0
end
if has_lost(key, ARGV[4], ARGV[5]) then
  return -6
end
redis.call("HSET", key, "data", ARGV[3])
return 1
