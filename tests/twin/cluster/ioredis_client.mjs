// Reads connection settings as JSON from standard input, writes and reads with ioredis, prints what it saw.
import Redis from "ioredis";

let settings = "";
for await (const chunk of process.stdin) settings += chunk;

const redis = new Redis(JSON.parse(settings));
const set = await redis.set("ioredis", "works");
const get = await redis.get("ioredis");
const answers = await redis.pipeline().set("ioredis:counter", 0).incr("ioredis:counter").exec();
console.log(JSON.stringify({ set, get, pipeline: answers.map(([, value]) => value) }));
await redis.quit();
