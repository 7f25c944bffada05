-- finished: whether a job has finished, and how.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id
-- Returns  {completed, returnvalue} | {failed, failedReason} | {pending} | {missing}
-- Wire     Bull 4.16.5, isFinished; wire document 3.21, W23
local base, job_id = ARGV[1], ARGV[2]
if redis.call("ZSCORE", base .. "completed", job_id) then
  return { "completed", redis.call("HGET", base .. job_id, "returnvalue") or "" }
end
if redis.call("ZSCORE", base .. "failed", job_id) then
  return { "failed", redis.call("HGET", base .. job_id, "failedReason") or "" }
end
return { redis.call("EXISTS", base .. job_id) == 1 and "pending" or "missing" }
