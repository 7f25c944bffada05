-- lift: let pods claim again.
--
-- KEYS     1 term (ours)    2… fences (ours); without any the term is made known
-- ARGV     1 term
-- Returns  1, or an error that begins with OUTDATED
-- include: term
local refusal = outdated(KEYS[1], ARGV[1])
if refusal then
  return refusal
end
for n = 2, #KEYS do
  redis.call("DEL", KEYS[n])
end
return 1
