-- update: give a job another payload.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id   3 data   JSON
-- Returns  1, or 0 when there is no such job
-- Wire     Bull 4.16.5, updateData; wire document 3.18
local key = ARGV[1] .. ARGV[2]
if redis.call("EXISTS", key) == 0 then
  return 0
end
redis.call("HSET", key, "data", ARGV[3])
return 1
