-- extend_locks: keep jobs ours for one more lock duration, many at a time.
--
-- The holder of the token pushes the expiry forward and takes the job off the stalled set. A lock that has expired while Redis was
-- away is taken again when the job is still active and nobody else's: a failover must not cost an hour's transcoding. Who gets neither
-- is told so and stops: the job is another worker's now.
--
-- KEYS  1 stalled  2 active
-- ARGV  1 base  2 lock_ms  3… id, token
-- Returns flat: id, code for each job that is lost (-1 no such job, -3 no longer active, -6 held under another token)
-- Wire  Bull 4.16.5, extendLock
local base, lock_ms = ARGV[1], ARGV[2]
local lost, kept = {}, {}
for at = 3, #ARGV, 2 do
  local lock = base .. ARGV[at] .. ":lock"
  local holder = redis.call("GET", lock)
  if holder == ARGV[at + 1] or (not holder and redis.call("LPOS", KEYS[2], ARGV[at])) then
    redis.call("SET", lock, ARGV[at + 1], "PX", lock_ms)
    kept[#kept + 1] = ARGV[at]
  else
    lost[#lost + 1] = ARGV[at]
    lost[#lost + 1] = redis.call("EXISTS", base .. ARGV[at]) == 0 and -1 or holder and -6 or -3
  end
end
if #kept > 0 then
  redis.call("SREM", KEYS[1], unpack(kept))
end
return lost
