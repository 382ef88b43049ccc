import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { test, type Test } from 'tap'
import { createAddressGuard } from '../../src/callbacks/address-guard.ts'
import type { CallbackAnswer } from '../../src/callbacks/outcome.ts'
import { createCallbackSender, type CallbackSender } from '../../src/callbacks/sender.ts'
import { createSharedLookup } from '../../src/callbacks/shared-lookup.ts'
import { parseCallbackUrl, type CallbackUrl } from '../../src/protocol/callback-url.ts'
import { createReceiver } from '../helpers/callback-receiver.ts'
import { createLatch } from '../helpers/latch.ts'
import { fakeNameServer } from '../helpers/name-server.ts'
import { watchRejections } from '../helpers/rejections.ts'
import { selfSigned } from '../helpers/self-signed.ts'
import { until } from '../helpers/until.ts'

const now = Date.UTC(2026, 0, 1)
const planted = 'sig=planted-4Xz_pZQ7v0mTnB2kLw8s'
const never = new AbortController().signal

function urlOf (text: string): CallbackUrl {
  const url = parseCallbackUrl(text)
  if ('fault' in url) throw new Error(url.fault)
  return url
}

function createSender (t: Test, networks = ['127.0.0.0/8'], secrets: string[] = []): CallbackSender {
  const sender = createCallbackSender(createAddressGuard(networks), secrets)
  t.teardown(() => sender.close())
  return sender
}

async function send (sender: CallbackSender, text: string, signal: AbortSignal = never, body = '{"a":1}'): Promise<CallbackAnswer> {
  return await sender.send({ url: urlOf(text), id: 'msg_1', body, now }, signal)
}

/** A receiver that does what no HTTP server would: gives back its origin. */
async function createRawReceiver (t: Test, connected: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => { connected(socket) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** However it ends. */
async function closed (socket: Socket): Promise<void> {
  if (!socket.destroyed) await new Promise((resolve) => { socket.on('error', () => {}).on('close', resolve) })
}

test('path and query go out byte for byte, by POST (rule 16)', async (t) => {
  const receiver = await createReceiver(t)
  const sender = createSender(t)
  for (const target of [
    '/workflows/0123/runs/08CU42/actions/Bake_a_cake/run?api-version=2016-06-01&sp=%2Fruns%2F08CU42%2Factions%2FBake_a_cake%2Frun%2C%2Fread&sv=1.0&sig=4Xz_pZ-Q7v0',
    '/', '/?', '/?a', '/a/../../b/%2e%2e/c', '//a//b', '/a%0d%0ab', '/%zz?%', '/a?b?c', '/a+b?c+d=%20&e=;', '/\'a\'(b)[c]*!;$,~', '/a=b&c?=&&=', '/%E4%BD%A0'
  ]) {
    receiver.calls.length = 0
    t.equal((await send(sender, receiver.origin + target)).statusCode, 202)
    t.match(receiver.calls, [{ method: 'POST', target }])
  }
})

test('the request carries the JSON as it is, two webhook headers, and no authorization', async (t) => {
  const receiver = await createReceiver(t)
  const body = '{"message":"Glück 🎂","n":1.0}'
  await send(createSender(t), `${receiver.origin}/x?${planted}`, never, body)
  const { headers, body: received } = receiver.calls[0]!
  t.equal(received, body)
  t.same(headers, {
    host: `127.0.0.1:${receiver.port}`,
    connection: 'keep-alive',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': 'fastify-logic-apps',
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(now / 1000)
  })
})

/** As a receiver checks it, by the specification's words and not by our code. */
function isSigned ({ headers, body }: { headers: Record<string, unknown>, body: string }, key: Buffer): boolean {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const expected = createHmac('sha256', key).update(signed).digest('base64')
  return String(headers['webhook-signature']).split(' ').some((one) => one === `v1,${expected}`)
}

test('with a signing secret it is signed as Standard Webhooks says: whsec_ and base64, or any text', async (t) => {
  const receiver = await createReceiver(t)
  const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
  await send(createSender(t, ['127.0.0.0/8'], ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']), receiver.origin)
  await send(createSender(t, ['127.0.0.0/8'], ['a text of twenty-four characters']), receiver.origin)
  await send(createSender(t, ['127.0.0.0/8'], ['a text of twenty-four characters', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']), receiver.origin)
  const [coded, plain, both] = receiver.calls as [typeof receiver.calls[0], typeof receiver.calls[0], typeof receiver.calls[0]]
  t.ok(isSigned(coded, key))
  t.ok(isSigned(plain, Buffer.from('a text of twenty-four characters')))
  t.ok(isSigned(both, key) && isSigned(both, Buffer.from('a text of twenty-four characters')), 'while it is rotated')
  t.notOk(isSigned({ ...coded, body: '{"a":2}' }, key))
  t.notOk(isSigned(coded, Buffer.from('another')))
})

test('the signature of the specification\'s reference implementation', async (t) => {
  // standard-webhooks, libraries/javascript/src/index.test.ts: "sign function works".
  const receiver = await createReceiver(t)
  const sender = createSender(t, ['127.0.0.0/8'], ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])
  await sender.send({ url: urlOf(receiver.origin), id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}', now: 1_614_265_330_000 }, never)
  t.match(receiver.calls[0]!.headers, { 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' })
})

test('the answer: status, text, Retry-After and how long it took', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 503, headers: { 'retry-after': '30' }, body: 'closed for cleaning' })
  const answer = await send(createSender(t), receiver.origin)
  t.match(answer, { statusCode: 503, text: 'closed for cleaning', retryAfterMs: 30_000 })
  t.ok(answer.durationMs > 0 && answer.durationMs < 10_000)
})

test('1,000 characters of an answer are kept, whole ones', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 400, body: 'ü'.repeat(5000) })
  const { text } = await send(createSender(t), receiver.origin)
  t.equal(text, 'ü'.repeat(1000))
})

test('no redirect is followed', async (t) => {
  const other = await createReceiver(t)
  for (const statusCode of [301, 302, 303, 307, 308]) {
    const receiver = await createReceiver(t, { statusCode, headers: { location: `${other.origin}/elsewhere` } })
    t.equal((await send(createSender(t), receiver.origin)).statusCode, statusCode)
    t.equal(receiver.calls.length, 1)
  }
  t.equal(other.calls.length, 0)
})

test('calls to one receiver share a connection', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 200, body: 'thanks' })
  const sender = createSender(t)
  for (let calls = 0; calls < 20; calls++) await send(sender, receiver.origin)
  // A second one, where the first has not quite come to rest.
  t.ok(new Set(receiver.calls.map(({ socket }) => socket)).size <= 2)
})

test('a receiver that accepts and never answers is left when the time is over', async (t) => {
  const connected = createLatch<Socket>()
  const origin = await createRawReceiver(t, connected.open)
  const controller = new AbortController()
  const answer = send(createSender(t), origin, controller.signal)
  const socket = await connected.promise
  controller.abort()
  t.match(await answer, { statusCode: null, text: 'no answer in time', retryAfterMs: null })
  await closed(socket)
  t.pass('and the connection with it')
})

test('a time that is over before it began sends nothing', async (t) => {
  const receiver = await createReceiver(t)
  t.match(await send(createSender(t), receiver.origin, AbortSignal.abort()), { statusCode: null, text: 'no answer in time' })
  t.equal(receiver.calls.length, 0)
})

test('a receiver that answers after the time is over is not heard', async (t) => {
  const connected = createLatch<Socket>()
  const origin = await createRawReceiver(t, connected.open)
  const controller = new AbortController()
  const sending = send(createSender(t), origin, controller.signal)
  const socket = await connected.promise
  controller.abort()
  const answer = await sending
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  t.match(answer, { statusCode: null, text: 'no answer in time' })
})

test('a receiver that trickles its status line is left, one that trickles its body has answered', async (t) => {
  const begun = createLatch()
  const slow = await createRawReceiver(t, (socket) => {
    socket.write('HTTP/1.1 20')
    begun.open()
  })
  const controller = new AbortController()
  const answer = send(createSender(t), slow, controller.signal)
  await begun.promise
  controller.abort()
  t.match(await answer, { statusCode: null, text: 'no answer in time' })

  const second = new AbortController()
  const receiver = await createReceiver(t, (_call, response) => {
    response.writeHead(500).write('o')
    let count = 0
    const trickle = setInterval(() => {
      response.write('h')
      if (++count === 5) second.abort()
    }, 5)
    response.on('close', () => { clearInterval(trickle) })
    return undefined
  })
  const { statusCode, text } = await send(createSender(t), receiver.origin, second.signal)
  t.equal(statusCode, 500)
  t.match(text, /^oh*$/)
})

test('of an endless answer 64 kB are read, then the connection is closed', async (t) => {
  let written = 0
  const receiver = await createReceiver(t, (_call, response) => {
    const chunk = Buffer.alloc(65_536, 'x')
    response.writeHead(200, { 'content-length': String(10 * 2 ** 30) })
    const pour = (): void => {
      while (!response.destroyed) {
        written += chunk.length
        if (!response.write(chunk)) return
      }
    }
    response.on('drain', pour)
    pour()
    return undefined
  })
  const answer = await send(createSender(t), receiver.origin)
  t.match(answer, { statusCode: 200, text: 'x'.repeat(1000) })
  const { socket } = await receiver.call(0)
  await closed(socket)
  t.ok(written < 64 * 2 ** 20, `${written} bytes had been written, most of them into buffers of the kernel`)
})

test('an endless answer in one header is refused', async (t) => {
  const origin = await createRawReceiver(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const pour = (): void => { while (!socket.destroyed && socket.write(`x: ${'y'.repeat(8192)}\r\n`)); }
    socket.on('drain', pour)
    pour()
  })
  t.match(await send(createSender(t), origin), { statusCode: null, text: /HEADERS_OVERFLOW/ })
})

test('a gzip bomb is not inflated, and none is asked for', async (t) => {
  const bomb = gzipSync(Buffer.alloc(20 * 2 ** 20))
  const receiver = await createReceiver(t, (_call, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }).end(bomb)
    return undefined
  })
  const before = process.memoryUsage().arrayBuffers
  const { statusCode, text } = await send(createSender(t), receiver.origin)
  t.equal(statusCode, 200)
  t.ok(text.length <= 1000)
  t.equal(text.charCodeAt(0), 0x1f, 'the packed bytes')
  t.ok(process.memoryUsage().arrayBuffers - before < 10 * 2 ** 20)
  t.equal(receiver.calls[0]!.headers['accept-encoding'], undefined)
})

test('a reset before the answer is no answer, one in its body changes nothing', async (t) => {
  const sender = createSender(t)
  t.match(await send(sender, await createRawReceiver(t, (socket) => { socket.resetAndDestroy() })), { statusCode: null })
  t.match(await send(sender, await createRawReceiver(t, (socket) => { socket.end() })), { statusCode: null })
  const midway = await createRawReceiver(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', () => { setImmediate(() => { socket.resetAndDestroy() }) })
  })
  t.match(await send(sender, midway), { statusCode: 200 })
  const chunked = await createRawReceiver(t, (socket) => { socket.end('HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n') })
  t.match(await send(sender, chunked), { statusCode: 202 })
})

test('what is no HTTP is no answer', async (t) => {
  const sender = createSender(t)
  for (const text of ['SSH-2.0-OpenSSH_9.6\r\n', 'HTTP/1.1 abc OK\r\n\r\n', '\u0000\u0001\u0002', '220 mail.example ESMTP\r\n', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n']) {
    t.match(await send(sender, await createRawReceiver(t, (socket) => { socket.end(text) })), { statusCode: null }, JSON.stringify(text))
  }
})

test('a receiver that answers before it has read is heard', async (t) => {
  const origin = await createRawReceiver(t, (socket) => { socket.end('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n') })
  const { statusCode } = await send(createSender(t), origin, never, JSON.stringify({ a: 'x'.repeat(100_000) }))
  t.equal(statusCode, 413)
})

test('nobody there, no such name, no such port: no answer', async (t) => {
  fakeNameServer(t, {})
  const sender = createSender(t)
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  t.match(await send(sender, `http://127.0.0.1:${port}/`), { statusCode: null, text: /ECONNREFUSED/ })
  t.match(await send(sender, 'https://nowhere.example/'), { statusCode: null, text: /ENOTFOUND/ })
  t.match(await send(sender, 'http://127.0.0.1:0/'), { statusCode: null })
})

test('an address as a host is checked too, in every family', async (t) => {
  const sender = createSender(t, [])
  for (const host of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '[::1]', '[::ffff:7f00:1]', '[fe80::1]', '[64:ff9b::7f00:1]']) {
    t.match(await send(sender, `http://${host}:9/`), { statusCode: null, text: 'callbacks may not go to this address' }, host)
  }
})

test('a name that leads to a private address is refused when the socket connects: DNS rebinding fails', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 200, headers: { connection: 'close' } })
  fakeNameServer(t, { 'a.example': [['127.0.0.1'], ['10.0.0.1', '169.254.169.254'], ['127.0.0.1', '169.254.169.254'], ['127.0.0.2', '::1', '10.0.0.1']] })
  const sender = createSender(t, ['127.0.0.1/32'])
  const url = `http://a.example:${receiver.port}/`
  t.equal((await send(sender, url)).statusCode, 200, 'first it is one that is allowed')
  t.match(await send(sender, url), { statusCode: null, text: 'a.example leads to an address that callbacks may not go to' })
  t.equal((await send(sender, url)).statusCode, 200, 'of a mixed answer the allowed one is taken')
  t.match(await send(sender, url), { statusCode: null, text: /may not go to/ })
  t.equal(receiver.calls.length, 2)
  t.equal(receiver.calls[0]!.headers.host, `a.example:${receiver.port}`)
})

test('names whose servers do not answer keep one lookup, whoever waits for them', async (t) => {
  const asked = fakeNameServer(t, Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`slow${index}.example`, [new Promise<string[]>(() => {})]])))
  const sender = createSender(t)
  const controller = new AbortController()
  const answers = Array.from({ length: 400 }, (_, index) => send(sender, `https://slow${index % 200}.example/`, controller.signal))
  await until(() => asked.length > 0)
  controller.abort()
  for (const answer of await Promise.all(answers)) t.equal(answer.text, 'no answer in time')
  t.same(asked, ['slow0.example'])
})

test('a callback whose name was not looked up for the sake of others says so, one whose name was found before is sent', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 200, headers: { connection: 'close' } })
  const dead = Array.from({ length: 20 }, (_, index) => `dead${index}.example`)
  const asked = fakeNameServer(t, { 'alive.example': [['127.0.0.1']], 'other.example': [['127.0.0.1']], ...Object.fromEntries(dead.map((name) => [name, [new Promise<string[]>(() => {})]])) })
  const sender = createCallbackSender(createAddressGuard(['127.0.0.0/8'], createSharedLookup(100)), [])
  t.teardown(() => sender.close())
  t.match(await send(sender, `http://alive.example:${receiver.port}/`), { statusCode: 200 })
  const controller = new AbortController()
  const waiting = dead.map((name) => send(sender, `http://${name}:${receiver.port}/`, controller.signal))
  t.match(await send(sender, `http://other.example:${receiver.port}/`), { statusCode: null, isUnsent: true, text: 'other.example was not looked up in time: other names were slow' })
  const alive = await send(sender, `http://alive.example:${receiver.port}/`)
  t.match(alive, { statusCode: 200 })
  t.equal(alive.isUnsent, undefined)
  for (const answer of waiting.slice(1)) t.match(await answer, { statusCode: null, isUnsent: true })
  controller.abort()
  t.match(await waiting[0], { statusCode: null, text: 'no answer in time', isUnsent: undefined }, 'the one that had its turn is answered for')
  t.same(asked, ['alive.example', 'dead0.example', 'alive.example'])
})

test('TLS: a certificate that nobody vouches for, or of another host, fails; a good one is fine', async (t) => {
  const server = createTlsServer(selfSigned, (_request, response) => { response.end('secure') }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { port } = server.address() as AddressInfo
  fakeNameServer(t, { localhost: [['127.0.0.1']], 'a.example': [['127.0.0.1']] })
  t.match(await send(createSender(t), `https://localhost:${port}/`), { statusCode: null, text: /DEPTH_ZERO_SELF_SIGNED_CERT/ })

  const before = getCACertificates('default')
  setDefaultCACertificates([...before, selfSigned.cert])
  t.teardown(() => { setDefaultCACertificates(before) })
  const sender = createSender(t)
  t.match(await send(sender, `https://localhost:${port}/`), { statusCode: 200, text: 'secure' })
  t.match(await send(sender, `https://a.example:${port}/?${planted}`), { statusCode: null, text: /ERR_TLS_CERT_ALTNAME_INVALID/ })
  t.match(await send(sender, `http://localhost:${port}/`), { statusCode: null }, 'HTTP to it is no answer')
})

test('what it tells never shows the URL: errors, and answers that quote it', async (t) => {
  const target = `/hooks/planted-path-key/run?sp=%2Frun%2Cplanted&${planted}`
  fakeNameServer(t, { 'a.example': [['10.0.0.1']], 'fails.example': [new Error(`cannot resolve https://fails.example${target}`)] })
  const quoting = await createReceiver(t, ({ target, headers }) => ({
    statusCode: 404,
    body: JSON.stringify({
      message: `Route POST:${target} not found`,
      html: `<pre>Cannot POST ${target.replaceAll('&', '&amp;')}</pre>`,
      escaped: target.replaceAll('&', '\\u0026'),
      decoded: decodeURIComponent(target),
      full: `http://${String(headers.host)}${target}`,
      query: Object.fromEntries(new URLSearchParams(target.split('?')[1]))
    })
  }))
  const late = await createReceiver(t, ({ target }) => ({ statusCode: 500, body: `${'x'.repeat(970)}${target}` }))
  const sender = createSender(t)
  const texts = await Promise.all([
    `${quoting.origin}${target}`, `${late.origin}${target}`, `http://a.example${target}`, `http://fails.example${target}`, `http://127.0.0.1:0${target}`, `http://10.0.0.1${target}`,
    `${await createRawReceiver(t, (socket) => { socket.end(`HTTP/1.1 abc ${target}\r\n\r\n`) })}${target}`
  ].map(async (url) => (await send(sender, url)).text))
  for (const text of texts) t.notMatch(text, /planted/)
  t.match(texts[0], /Route POST:… not found/)
})

test('of what a receiver quotes in a form of its own nothing of eight characters is left', async (t) => {
  const sig = 'Ab3dEf6hIj9%2FKl2nOp5rSt8vWx1z%2bCd4fGh7jKl0%41'
  const decoded = decodeURIComponent(sig)
  const target = `/hooks/Xy7-key_1234567/run?v=1&sig=${sig}`
  const forms: Record<string, string> = {
    'lower-case escapes': target.replaceAll('%2F', '%2f'),
    'upper-case escapes': target.replaceAll('%2b', '%2B'),
    'all in lower case': target.toLowerCase(),
    'all in upper case': decoded.toUpperCase(),
    'JSON with escaped slashes': JSON.stringify(decoded).replaceAll('/', '\\/'),
    'JSON with escaped characters': decoded.replaceAll('/', '\\u002f').replaceAll('+', '\\u002B'),
    HTML: decoded.replaceAll('/', '&#x2F;').replaceAll('+', '&#43;'),
    'escaped twice': encodeURIComponent(target),
    'cut at its end': target.slice(0, -14),
    'cut at its end, with dots': `${target.slice(0, target.indexOf('sig=') + 14)}...`,
    'cut at its start': `...${decoded.slice(3)}`,
    'cut in its middle': `${decoded.slice(0, 9)}[...]${decoded.slice(-9)}`,
    'in lines': decoded.replace('Kl2n', '\nKl2n')
  }
  const secrets = [...decoded.split(/[/+]/), 'Xy7-key_1234567'].map((run) => run.toLowerCase())
  let body = ''
  const receiver = await createReceiver(t, () => ({ statusCode: 400, body }))
  const sender = createSender(t)
  for (const [form, quote] of Object.entries(forms)) {
    body = `Cannot read ${quote} here`
    const { text } = await send(sender, receiver.origin + target)
    for (const run of secrets) {
      for (let start = 0; start + 8 <= run.length; start++) if (text.toLowerCase().includes(run.slice(start, start + 8))) t.fail(`${form}: ${text}`)
    }
    t.match(text, /^Cannot read .* here$/s, form)
  }
  body = `sig ${decoded.slice(0, 8)}`
  t.equal((await send(sender, receiver.origin + target)).text, 'sig …', 'at the end of the text too')
})

test('words that every URL has, and the code of a disabled workflow, are left in what a receiver says', async (t) => {
  const body = 'workflows, TRIGGERS: WorkflowTriggerIsNotEnabled İ'
  const receiver = await createReceiver(t, { statusCode: 400, body })
  t.equal((await send(createSender(t), `${receiver.origin}/workflows/w/triggers/WorkflowTrigger/run?sp=%2Ftriggers%2FIsNotEnabled`)).text, body)
})

test('a short path and short parameters are left in what a receiver says', async (t) => {
  const receiver = await createReceiver(t, { statusCode: 400, body: 'version 1 of / is no a/b' })
  t.equal((await send(createSender(t), `${receiver.origin}/?v=1&a=b`)).text, 'version 1 of / is no a/b')
})

test('it never rejects: closed, in the middle of a call, with many at once', async (t) => {
  const rejections = watchRejections(t)
  const connected = createLatch<Socket>()
  const origin = await createRawReceiver(t, connected.open)
  const sender = createCallbackSender(createAddressGuard(['127.0.0.0/8']), [])
  const answers = Array.from({ length: 100 }, () => send(sender, origin))
  await connected.promise
  await sender.close()
  for (const answer of await Promise.all(answers)) t.equal(answer.statusCode, null)
  t.match(await send(sender, origin), { statusCode: null, text: String })
  t.same(rejections, [])
})
