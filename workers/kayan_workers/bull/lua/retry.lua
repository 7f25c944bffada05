-- retry: let a failed job run once more.
--
-- Everything is tested before anything is written: Bull wipes the times of a job in another state before it notices. As with
-- Bull the job goes to the head (lifo: the tail) whatever its priority, and keeps its count of attempts.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 token   3 job_id   4 now
-- Returns  1 waiting again, 0 no such job, -1 locked, -2 not failed
-- Wire     Bull 4.16.5, reprocessJob; wire document 3.12, W26
local base, token, job_id, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = base .. job_id

-- include: push_waiting

if redis.call("EXISTS", key) == 0 then
  return 0
end
if redis.call("EXISTS", key .. ":lock") == 1 then
  return -1
end
if redis.call("ZREM", base .. "failed", job_id) == 0 then
  return -2
end
redis.call("HDEL", key, "finishedOn", "processedOn", "failedReason")
redis.call("HSET", key, "retriedOn", now)
local read, opts = pcall(cjson.decode, redis.call("HGET", key, "opts") or "")
push_waiting(base, job_id, 0, read and type(opts) == "table" and opts.lifo == true)
redis.call("PUBLISH", base .. "waiting@" .. token, job_id)
return 1
