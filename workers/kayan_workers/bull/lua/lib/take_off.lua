-- take_off(base, id): take an id off every list and set it stands in; false when it stood in none.
local function take_off(base, id)
  local found = 0
  for _, set in ipairs({ "completed", "failed", "delayed" }) do
    found = found + redis.call("ZREM", base .. set, id)
  end
  if found == 0 then  -- lists are searched from end to end
    for _, list in ipairs({ "active", "wait", "paused" }) do
      found = found + redis.call("LREM", base .. list, 0, id)
    end
  end
  return found > 0
end
