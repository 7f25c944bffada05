-- extend_locks: keep jobs ours for one more lock duration, many at a time.
--
-- The holder of the token pushes the expiry forward and takes the job off the stalled set. Who is not told so and stops: the
-- job is another worker's now.
--
-- KEYS  1 stalled
-- ARGV  1 base  2 lock_ms  3… id, token
-- Returns the ids that are lost (expired, or held under another token)
-- Wire  Bull 4.16.5, extendLock
local base, lock_ms = ARGV[1], ARGV[2]
local lost, kept = {}, {}
for at = 3, #ARGV, 2 do
  local lock = base .. ARGV[at] .. ":lock"
  if redis.call("GET", lock) == ARGV[at + 1] then
    redis.call("PEXPIRE", lock, lock_ms)
    kept[#kept + 1] = ARGV[at]
  else
    lost[#lost + 1] = ARGV[at]
  end
end
if #kept > 0 then
  redis.call("SREM", KEYS[1], unpack(kept))
end
return lost
