import { mkdirSync } from 'node:fs'
import { buildApp } from './app.ts'

const { PORT = '3000', FOLDER = './inbox', DATA_DIR = './data', LOG_LEVEL = 'warn' } = process.env
const { BASE_URL = `http://127.0.0.1:${PORT}` } = process.env

mkdirSync(FOLDER, { recursive: true })
const app = await buildApp({ folder: FOLDER, dataDir: DATA_DIR, baseUrl: BASE_URL, logger: { level: LOG_LEVEL } })
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { app.close() })
await app.listen({ port: Number(PORT), host: '127.0.0.1' })
console.log(`Watching ${FOLDER} at ${BASE_URL}/files`)
