-- fence: let pods claim nothing more. What they run they finish.
--
-- KEYS     1… fences (ours)
-- ARGV     1 ttl_ms    2 why
-- Returns  1
for n = 1, #KEYS do
  redis.call("SET", KEYS[n], ARGV[2], "PX", ARGV[1])
end
return 1
