-- push_many(base, list, entries): put many new ids where adding them one by one would have put them.
--
-- entries are {id, priority} in the order of their adds, without lifo. Bull's arithmetic (push_waiting.lua) puts a prioritised
-- id at a depth, counted from the tail, that depends on the index of priorities alone. As long as the list is as long as the
-- deepest of those depths, adds of different priorities commute with each other and with unprioritised adds at the head, so
-- each priority goes in as one group. A list that is shorter (stale entries in the index) has no such order: one by one then.
local PER_CALL = 5000  -- arguments of one command; Lua's unpack ends near 8000

local function push_all(command, list, ids)
  for first = 1, #ids, PER_CALL do
    redis.call(command, list, unpack(ids, first, math.min(first + PER_CALL - 1, #ids)))
  end
end

-- The prioritised entries as groups {priority, ids}, the most urgent first, and the ids of the others.
local function group_by_priority(entries)
  local groups, by_priority, plain = {}, {}, {}
  for _, entry in ipairs(entries) do
    local id, priority = entry[1], entry[2]
    if priority == 0 then
      plain[#plain + 1] = id
    else
      local group = by_priority[priority]
      if not group then
        group = { priority, {} }
        by_priority[priority] = group
        groups[#groups + 1] = group
      end
      group[2][#group[2] + 1] = id
    end
  end
  table.sort(groups, function(one, other) return one[1] < other[1] end)
  return groups, plain
end

-- Enters the groups into the index. Returns how many older ids of equal or higher urgency each of them has.
local function index_groups(index, groups)
  for _, group in ipairs(groups) do
    local scored = {}
    for _, id in ipairs(group[2]) do
      scored[#scored + 1] = group[1]
      scored[#scored + 1] = id
    end
    push_all("ZADD", index, scored)
  end
  local depths, new = {}, 0
  for i, group in ipairs(groups) do
    new = new + #group[2]
    depths[i] = redis.call("ZCOUNT", index, 0, group[1]) - new
  end
  return depths
end

-- Takes the tail of the list off, down to the deepest group, and puts it back with the groups in their places.
local function rebuild_tail(list, groups, depths)
  local deepest = depths[#depths]
  local old = {}
  if deepest > 0 then
    old = redis.call("LRANGE", list, -deepest, -1)
    redis.call("LTRIM", list, 0, -deepest - 1)
  end
  local new, taken = {}, 0  -- from the tail
  for i, group in ipairs(groups) do
    while taken < depths[i] do
      new[#new + 1] = old[deepest - taken]
      taken = taken + 1
    end
    for _, id in ipairs(group[2]) do
      new[#new + 1] = id
    end
  end
  for i = 1, #new / 2 do
    new[i], new[#new + 1 - i] = new[#new + 1 - i], new[i]
  end
  push_all("RPUSH", list, new)
end

-- The same result by LINSERT, which walks the list from its head: better when few ids go in front of many.
local function insert_groups(list, length, groups, depths)
  local new = 0
  for i, group in ipairs(groups) do
    local depth = depths[i] + new
    if depth == length + new then
      push_all("LPUSH", list, group[2])
    else
      local pivot = depth > 0 and redis.call("LINDEX", list, -depth)
      for _, id in ipairs(group[2]) do
        if pivot then
          redis.call("LINSERT", list, "BEFORE", pivot, id)
        else
          redis.call("RPUSH", list, id)
        end
        pivot = id
      end
    end
    new = new + #group[2]
  end
end

local function push_groups(index, list, groups)
  local depths = index_groups(index, groups)
  local length = redis.call("LLEN", list)
  local steps = 0
  for i, group in ipairs(groups) do
    steps = steps + #group[2] * (length - depths[i])
  end
  -- A step of LINSERT costs about a fiftieth of moving one id through Lua and back.
  if depths[#depths] * 50 <= steps then
    rebuild_tail(list, groups, depths)
  else
    insert_groups(list, length, groups, depths)
  end
end

local function push_many(base, list, entries)
  local groups, plain = group_by_priority(entries)
  if #groups > 0 then
    local index = base .. "priority"
    if redis.call("ZCOUNT", index, 0, groups[#groups][1]) > redis.call("LLEN", list) then
      for _, entry in ipairs(entries) do
        if entry[2] == 0 then
          redis.call("LPUSH", list, entry[1])
        else
          push_prioritised(base, list, entry[1], entry[2])
        end
      end
      return
    end
    push_groups(index, list, groups)
  end
  push_all("LPUSH", list, plain)
end
