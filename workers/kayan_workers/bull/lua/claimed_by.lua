-- claimed_by: the active jobs locked under tokens that begin with a prefix.
--
-- After a connection was lost a worker does not know what its last call claimed. Its tokens do.
--
-- KEYS  1 active
-- ARGV  1 base  2 prefix
-- Returns flat: id, token
local base, prefix = ARGV[1], ARGV[2]
local ids = redis.call("LRANGE", KEYS[1], 0, -1)
local found = {}
for first = 1, #ids, 1000 do
  local locks = {}
  for i = first, math.min(first + 999, #ids) do
    locks[#locks + 1] = base .. ids[i] .. ":lock"
  end
  local holders = redis.call("MGET", unpack(locks))
  for i = 1, #locks do
    local holder = holders[i]
    if holder and string.sub(holder, 1, #prefix) == prefix then
      found[#found + 1] = ids[first + i - 1]
      found[#found + 1] = holder
    end
  end
end
return found
