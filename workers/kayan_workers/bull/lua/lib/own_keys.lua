-- is_own(base, rest): whether the key base .. rest is this queue's and not that of one whose name goes on after a colon.
-- is_job(base, id): whether a job's hash stands under base .. id.
local function is_own(base, rest)
  local from = 1
  while true do
    local colon = string.find(rest, ":", from, true)
    if not colon then
      return true
    end
    local other = string.sub(rest, 1, colon)
    if redis.call("TYPE", base .. other .. "id").ok == "string" and redis.call("EXISTS", base .. string.sub(rest, 1, colon - 1)) == 0 then
      return false  -- that queue has a counter
    end
    from = colon + 1
  end
end

local function is_job(base, id)
  if redis.call("TYPE", base .. id).ok ~= "hash" then
    return false
  end
  local fields = redis.call("HMGET", base .. id, "timestamp", "opts", "processedOn")
  return (fields[1] or fields[2] or fields[3]) and is_own(base, id)
end
