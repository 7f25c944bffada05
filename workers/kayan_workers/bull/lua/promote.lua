-- promote: let a delayed job run now.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 token   3 job_id
-- Returns  1 promoted, -1 it is not delayed
-- Wire     Bull 4.16.5, promote; wire document 3.11
local base, token, job_id = ARGV[1], ARGV[2], ARGV[3]

-- include: push_waiting

if redis.call("ZREM", base .. "delayed", job_id) == 0 then
  return -1
end
if redis.call("EXISTS", base .. job_id) == 0 then
  return -1  -- nothing left of it but the entry
end
push_waiting(base, job_id, tonumber(redis.call("HGET", base .. job_id, "priority") or 0) or 0, false)
redis.call("PUBLISH", base .. "waiting@" .. token, job_id)
redis.call("HSET", base .. job_id, "delay", 0)
return 1
