#!/usr/bin/env node
import { main } from './index.ts'

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => { process.stdout.write(text) },
  err: (text) => { process.stderr.write(text) },
  isTerminal: process.stderr.isTTY,
  env: process.env
})
