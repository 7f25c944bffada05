-- push_waiting(base, id, priority, lifo): put an id where the next worker finds it.
--
-- The list is `paused` while the queue is globally paused, else `wait`. The tail runs next. Without a priority the id goes to
-- the head (lifo: to the tail). With one it goes just left of all ids of equal or higher urgency, found by Bull's own
-- arithmetic (wire document 3.3), so that Node and Python producers agree even where that arithmetic is wrong.
local function waiting_list(base)
  if redis.call("EXISTS", base .. "meta-paused") == 1 then
    return base .. "paused"
  end
  return base .. "wait"
end

local function push_prioritised(base, list, id, priority)
  local index = base .. "priority"
  redis.call("ZADD", index, priority, id)
  local ahead = redis.call("ZCOUNT", index, 0, priority) - 1
  local pivot = redis.call("LINDEX", list, redis.call("LLEN", list) - ahead)
  if pivot then
    redis.call("LINSERT", list, "BEFORE", pivot, id)
  else
    redis.call("RPUSH", list, id)
  end
end

local function push_waiting(base, id, priority, lifo)
  local list = waiting_list(base)
  if priority > 0 then
    push_prioritised(base, list, id, priority)
  else
    redis.call(lifo and "RPUSH" or "LPUSH", list, id)
  end
end

-- priority_of(base, id): what stands in its hash, 0 for what is no number and for what is no hash.
local function priority_of(base, id)
  local priority = redis.pcall("HGET", base .. id, "priority")
  return type(priority) == "string" and tonumber(priority) or 0
end

-- push_front(base, id): make an id the next to run. It keeps its place in the priority index, which counts the ids at the tail.
local function push_front(base, id)
  local priority = priority_of(base, id)
  if priority > 0 then
    redis.call("ZADD", base .. "priority", priority, id)
  end
  redis.call("RPUSH", waiting_list(base), id)
end
