-- remove: delete a job, wherever it stands, unless a worker holds it.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 job_id
-- Returns  1 removed, 0 no such job, -1 locked
-- Wire     Bull 4.16.5, removeJob; wire document 3.13
local base, job_id = ARGV[1], ARGV[2]

-- include: take_off
-- include: forget_job

if redis.call("EXISTS", base .. job_id .. ":lock") == 1 then
  return -1
end
local kind = redis.call("TYPE", base .. job_id).ok
if kind ~= "hash" and kind ~= "none" then
  return 0  -- a lock, a log, a list of the queue's own
end
local exists = kind == "hash"
if not take_off(base, job_id) and not exists then
  return 0
end
forget_job(base, KEYS[2], job_id)
return 1
