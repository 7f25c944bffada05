-- release_debounce(base, debounce_id): let the next debounced add through, unless the debounce lives by time (3.8.4).
local function release_debounce(base, debounce_id)
  if debounce_id == "" then
    return
  end
  local key = base .. "de:" .. debounce_id
  local ttl = redis.call("PTTL", key)
  if ttl == 0 or ttl == -1 then
    redis.call("DEL", key)
  end
end
