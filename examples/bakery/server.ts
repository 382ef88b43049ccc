import { buildApp } from './app.ts'

const { PORT = '3000', HOST = '127.0.0.1', DATA_DIR = './data', DATABASE_URL, SECRET, LOG_LEVEL = 'warn', ALLOW_LOCAL_CALLBACKS, CALLBACK_SCHEDULE_SECONDS } = process.env
const { BASE_URL = `http://${HOST}:${PORT}` } = process.env

const app = await buildApp({
  dataDir: DATA_DIR,
  databaseUrl: DATABASE_URL,
  baseUrl: BASE_URL,
  secret: SECRET,
  allowLocalCallbacks: ALLOW_LOCAL_CALLBACKS === '1',
  callbackScheduleSeconds: CALLBACK_SCHEDULE_SECONDS?.split(',').map(Number),
  logger: { level: LOG_LEVEL }
})

// Cakes in the oven get ten seconds to finish; the next start bakes the others.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })

await app.listen({ port: Number(PORT), host: HOST })
console.log(`The bakery is open at ${BASE_URL}`)
