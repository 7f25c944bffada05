-- repeat_pending: which iterations of repeatable jobs stand where.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2… iteration ids
-- Returns  per id its state, `stuck` for a hash in no list, "" where there is no hash
-- Wire     wire document 3.19, W20
local base = ARGV[1]

-- include: whereabouts

local states = {}
for i = 2, #ARGV do
  local exists = redis.call("EXISTS", base .. ARGV[i]) == 1
  states[i - 1] = exists and (where_is(base, ARGV[i]) or "stuck") or ""
end
return states
