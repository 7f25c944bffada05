-- hand_back: return claimed jobs to the front of the line as if they had never been taken; no stall is counted.
--
-- Only jobs that are still locked under the given token. Given in the order they were claimed, they run again in that order.
--
-- KEYS  1 wait  2 unstarted (ours)
-- ARGV  1 base  2… id, token
-- Returns flat: id, code for each job that was not ours (-2 no lock, -6 another's, -3 not active)
-- include: push_waiting
local call = redis.call
local base, unstarted = ARGV[1], KEYS[2]
local refused = {}
for at = #ARGV - 1, 2, -2 do
  local id, token = ARGV[at], ARGV[at + 1]
  local job = base .. id
  local holder = call("GET", job .. ":lock")
  local code
  if holder ~= token then
    code = holder and -6 or -2
  else
    call("DEL", job .. ":lock")
    call("SREM", base .. "stalled", id)
    call("SREM", unstarted, id)
    if call("LREM", base .. "active", -1, id) == 0 then
      code = -3
    else
      push_front(base, id)
    end
  end
  if code then
    refused[#refused + 1] = id
    refused[#refused + 1] = code
  end
end
return refused
