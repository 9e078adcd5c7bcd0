-- Gives a claim up. KEYS: answer. An answer that was made stays.
if redis.call('GET', KEYS[1]) == '' then
  redis.call('DEL', KEYS[1])
end
return 0
