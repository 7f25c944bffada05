-- where_is(base, id): the state whose list or set holds the id, cheapest first; nil when none does.
local function where_is(base, id)
  for _, set in ipairs({ "completed", "failed", "delayed" }) do
    if redis.call("ZSCORE", base .. set, id) then
      return set
    end
  end
  for _, list in ipairs({ "active", "wait", "paused" }) do
    if redis.call("LPOS", base .. list, id) then
      return list == "wait" and "waiting" or list
    end
  end
end
