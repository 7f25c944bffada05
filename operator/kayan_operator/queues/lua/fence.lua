-- fence: let pods claim nothing more. What they run they finish.
--
-- KEYS     1 term (ours)    2… fences (ours)
-- ARGV     1 term    2 ttl_ms    3 why
-- Returns  1, or an error that begins with OUTDATED
-- include: term
local refusal = outdated(KEYS[1], ARGV[1])
if refusal then
  return refusal
end
for n = 2, #KEYS do
  redis.call("SET", KEYS[n], ARGV[3], "PX", ARGV[2])
end
return 1
