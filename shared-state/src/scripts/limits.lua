-- Counts one request under several limits: under all of them, or under none.
-- KEYS: for each limit its cell, then for each limit the cell of newcomers when there are too many.
-- ARGV: how many names the database may have; then for each limit four: 'rate', the microseconds of one request and those
-- that may be used up at once, 0; or 'budget', the amount, the milliseconds of its window, the units to reserve.
-- {1, for each limit four: units left, microseconds until it is whole, whether it is the newcomers' cell, the window's
-- number}, or {0, the first limit without room, units left, microseconds until there is}.
-- A rate's cell says how many microseconds are used up, and since when (GCRA); a budget's which window, and what is spent.
local most = tonumber(ARGV[1])
local count = #KEYS / 2
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = nil
local cells, lives, answer = {}, {}, {1}

-- What one more request finds. Where it fits: the cell after it and the milliseconds that it lives. Always: units left, and
-- microseconds until it is whole, or until there is room.
local function rate(cell, cost, most_used)
  local used, since = 0, now
  if cell then
    used, since = struct.unpack('>dd', cell)
  end
  -- The server's clock may be set back; a cell never is.
  local at = math.max(now, since)
  used = math.max(0, used - (at - since))
  local found = {number = 0}
  if used > most_used then
    -- The window was made shorter: the cell is as full as it can be now, and stays so although this request does not count.
    used = most_used
    found.shrunk, found.life = struct.pack('>dd', used, at), math.ceil(used / 1000) + 1
  end
  if used + cost > most_used then
    found.left, found.wait = 0, math.ceil(used + cost - most_used)
    return found
  end
  used = used + cost
  found.cell, found.life = struct.pack('>dd', used, at), math.ceil(used / 1000) + 1
  found.left, found.wait = math.floor((most_used - used) / cost), math.ceil(used)
  return found
end

local function budget(cell, amount, window, reserve)
  local ms = math.floor(now / 1000)
  local number, spent = math.floor(ms / window), 0
  if cell then
    local of, old, was = struct.unpack('>ddd', cell)
    if of == window and (old == number or old == number + 1) then
      number, spent = old, was
    elseif of ~= window and (old + 1) * of > ms then
      -- The operator made the window another: what was spent moves along, unless its time is over.
      spent = was
    end
  end
  local ends = (number + 1) * window
  local found = {number = number, left = math.max(0, amount - spent), wait = ends * 1000 - now}
  if found.left >= reserve then
    found.left = found.left - reserve
    found.cell, found.life = struct.pack('>ddd', window, number, spent + reserve), ends - ms + 1000
  end
  return found
end

for i = 1, count do
  local first = 4 * (i - 1) + 2
  local kind, a, b, c = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local name, newcomer = KEYS[i], 0
  local cell = cells[name] or redis.call('GET', name)
  if not cell then
    if full == nil then
      full = redis.call('DBSIZE') >= most
    end
    if full then
      name, newcomer = KEYS[count + i], 1
      cell = cells[name] or redis.call('GET', name)
    end
  end
  local found = kind == 'rate' and rate(cell, a, b) or budget(cell, a, b, c)
  if found.shrunk then
    redis.call('SET', name, found.shrunk, 'PX', found.life)
  end
  if not found.cell then
    return {0, i - 1, found.left, found.wait}
  end
  cells[name], lives[name] = found.cell, found.life
  answer[first], answer[first + 1], answer[first + 2], answer[first + 3] = found.left, found.wait, newcomer, found.number
end
for name, cell in pairs(cells) do
  -- A cell whose allowance is whole, or whose window is over, says the same as no cell.
  redis.call('SET', name, cell, 'PX', lives[name])
end
return answer
