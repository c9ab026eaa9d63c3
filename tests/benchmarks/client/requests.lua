-- wrk: sends prepared requests one after another, each thread its own part of the file, from an offset on.
-- Arguments: the file (requests separated by NUL), the number of the first one, the number of threads.
local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   local content = file:read("*a")
   file:close()
   requests, count = {}, 0
   for one in content:gmatch("(%Z+)") do
      count = count + 1
      requests[count] = one
   end
   at = tonumber(arguments[2]) + math.floor(number * count / tonumber(arguments[3]))
   prepared_s = os.clock()
end

function request()
   at = at % count + 1
   return requests[at]
end

function done(summary, latency, _)
   local errors, prepared = summary.errors, 0
   for _, thread in ipairs(threads) do prepared = math.max(prepared, thread:get("prepared_s")) end
   io.write(string.format(
      "\nRESULT %d %.6f %.1f %.1f %.1f %d %d %.3f\n",
      summary.requests, summary.duration / 1e6,
      latency:percentile(50), latency:percentile(99), latency.max,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout,
      os.clock() - prepared
   ))
end
