-- Claims an answer. KEYS: answer. ARGV: milliseconds.
-- 1: the caller makes it. 0: somebody has it, or made it.
if redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) then
  return 1
end
return 0
