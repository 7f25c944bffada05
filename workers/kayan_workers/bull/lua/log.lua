-- log: add a row to a job's log.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id   3 row   4 keep   how many rows stay, the newest; 0: all
--          5 token, 6 late   who says so, see has_lost
-- Returns  how many rows there are now, or -1 when there is no such job, -6 when the lock is not the token's
-- Wire     Bull 4.16.5, addLog; wire document 3.18
-- include: has_lost
local base, job_id, keep = ARGV[1], ARGV[2], tonumber(ARGV[4])
if redis.call("EXISTS", base .. job_id) == 0 then
  return -1
end
if has_lost(base .. job_id, ARGV[5], ARGV[6]) then
  return -6
end
local logs = base .. job_id .. ":logs"
local rows = redis.call("RPUSH", logs, ARGV[3])
if keep > 0 then
  redis.call("LTRIM", logs, -keep, -1)
  rows = math.min(rows, keep)
end
return rows
