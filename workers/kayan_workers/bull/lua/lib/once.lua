-- once(key, sequence): what a producer's call of this number did, if it has been done; else nil.
-- done(key, sequence, ttl_ms, result): remember what it did.
--
-- A producer numbers its calls and makes one at a time, so its last result is all that need be kept. A call that is sent
-- again because its reply was lost is answered from there. One that arrives after a later one (out of an old connection's
-- buffer, say) is refused: its producer has long stopped waiting for it.
local function once(key, sequence)
  local done = redis.call("GET", key)
  if not done then
    return nil
  end
  local mark = string.find(done, ":", 1, true)
  local last = tonumber(string.sub(done, 1, mark - 1))
  if last == sequence then
    return string.sub(done, mark + 1)
  end
  if last > sequence then
    return redis.error_reply("STALE call " .. sequence .. " of this producer came after call " .. last)
  end
  return nil
end

local function done(key, sequence, ttl_ms, result)
  redis.call("SET", key, sequence .. ":" .. result, "PX", ttl_ms)
end
