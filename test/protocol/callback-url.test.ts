import fc from 'fast-check'
import { test } from 'tap'
import { createAddressGuard } from '../../src/callbacks/address-guard.ts'
import { defaultAllowedHosts, isAllowedHost, parseCallbackUrl, versionlessForm, type CallbackUrl } from '../../src/protocol/callback-url.ts'
import { createSealer } from '../../src/protocol/seal.ts'
import { sealCallbackUrl } from '../../src/work/subscriptions.ts'
import { engineUrls, evasiveUrls, foreignUrls, harmlessUrls, workflowHost } from '../helpers/callback-urls.ts'
import { check } from '../helpers/property.ts'

function parse (text: string): CallbackUrl {
  const url = parseCallbackUrl(text)
  if ('fault' in url) throw new Error(`${text} ${url.fault}`)
  return url
}

const versionless = (text: string): string | undefined => versionlessForm(parse(text))
const sealer = createSealer(['x'.repeat(32)], 'test')
const anywhere = { allowedHosts: ['*'], allowHttp: true, guard: createAddressGuard([]) }
const byDefault = { allowedHosts: defaultAllowedHosts, allowHttp: false, guard: createAddressGuard([]) }

test('the engine\'s URLs are taken byte for byte, with and without a port (engine 2.8 to 2.12)', async (t) => {
  for (const [name, text] of Object.entries(engineUrls)) {
    const url = parse(text)
    t.equal(url.text, text, name)
    t.equal(url.protocol, 'https:')
    t.equal(url.origin, `https://${url.hostname}:443`)
    t.equal(text.replace(':443', ''), `https://${url.hostname}${url.target}`)
    t.ok(isAllowedHost(url.hostname, defaultAllowedHosts), url.hostname)
    t.equal(sealer.open(sealCallbackUrl(text, byDefault, sealer).sealedUrl), text)
  }
})

test('the local designer\'s URL is http on localhost: taken where both are allowed', async (t) => {
  const text = 'http://localhost:7071/runtime/webhooks/workflow/scaleUnits/prod-00/workflows/0123/triggers/manual/paths/invoke?sig=x'
  t.match(parse(text), { protocol: 'http:', hostname: 'localhost', host: 'localhost:7071' })
  t.throws(() => sealCallbackUrl(text, byDefault, sealer), { code: 'FST_LOGIC_APPS_INVALID_CALLBACK_URL', message: 'the callback URL must be an https URL' })
  t.equal(sealCallbackUrl(text, { ...anywhere, allowedHosts: ['localhost'] }, sealer).host, 'localhost:7071')
})

for (const [kind, urls] of Object.entries(evasiveUrls)) {
  test(`refused, even where any host is allowed: ${kind}`, async (t) => {
    for (const text of urls) {
      for (const policy of [anywhere, byDefault]) {
        t.throws(() => sealCallbackUrl(text, policy, sealer), { code: /^FST_LOGIC_APPS_(INVALID_CALLBACK_URL|CALLBACK_URL_NOT_ALLOWED)$/, statusCode: 400 }, text.slice(0, 100).replace(/[^ -~]/g, '?'))
      }
    }
  })
}

for (const [kind, urls] of Object.entries(foreignUrls)) {
  test(`not on the list of allowed hosts: ${kind}`, async (t) => {
    for (const text of urls) {
      t.throws(() => sealCallbackUrl(text, byDefault, sealer), { code: 'FST_LOGIC_APPS_CALLBACK_URL_NOT_ALLOWED', statusCode: 400 }, text)
      t.equal(parse(text).hostname, new URL(text).hostname, 'and where any host is, they go where they say')
    }
  })
}

test('odd spellings of an allowed host go there and nowhere else', async (t) => {
  for (const [name, { url, ...expected }] of Object.entries(harmlessUrls)) {
    t.match(parse(url), { ...expected, text: url, protocol: 'https:' }, name)
    const { host } = sealCallbackUrl(url, byDefault, sealer)
    t.match(host, /\.westeurope\.logic\.azure\.com:\d+$/)
  }
})

test('what is no text, or none at all, is refused', async (t) => {
  for (const value of [undefined, null, '', 0, true, {}, [], ['https://a.example/'], { href: 'https://a.example/' }, new URL('https://a.example/'), () => 'https://a.example/']) {
    t.same(parseCallbackUrl(value), { fault: 'must be a non-empty string' })
  }
})

test('the longest URL has 4,096 characters', async (t) => {
  const text = `https://${workflowHost}/`
  t.equal(parse(text.padEnd(4096, 'a')).text.length, 4096)
  t.same(parseCallbackUrl(text.padEnd(4097, 'a')), { fault: 'must be at most 4096 characters long' })
})

test('a fault never quotes the URL', async (t) => {
  for (const text of Object.values(evasiveUrls).flat()) {
    const url = parseCallbackUrl(`${text}?sig=planted-signature`)
    if ('fault' in url) t.notMatch(url.fault, /evil|azure|planted/)
  }
})

test('what is taken is read alike by WHATWG\'s parser, and sent as it was given', async (t) => {
  const piece = fc.constantFrom('https://', 'http://', 'HTTPS:', '//', '/', '\\', '@', ':', ':443', ':0443', '.', '..', '?', '#', '%', '%2e', '%40', '[', ']', '::1', '127.0.0.1', '0x7f', '2130706433', 'a', 'evil.example', workflowHost, 'xn--lgic-55d', '\t', '\r\n', ' ', '\u0000', '。', 'é', '&sig=', '=', '-', '_', '~', '+')
  await check(t, fc.property(fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')), fc.array(piece, { maxLength: 8 }).map((pieces) => `https://${pieces.join('')}`)), (text) => {
    const url = parseCallbackUrl(text)
    if ('fault' in url) return true
    const whatwg = new URL(text)
    const authority = text.slice(url.protocol.length + 2, text.length - (text.includes('?') || text.slice(8).includes('/') ? text.length - text.slice(8).search(/[/?]/) - 8 : 0))
    return url.hostname === whatwg.hostname && `${whatwg.username}${whatwg.password}${whatwg.hash}` === '' && authority.toLowerCase().startsWith(url.hostname) &&
      url.host === `${whatwg.hostname}:${whatwg.port || (whatwg.protocol === 'https:' ? 443 : 80)}` && (text.endsWith(url.target) || url.target === '/' || text.endsWith(url.target.slice(1)))
  }), { numRuns: 3000 })
})

test('an entry of the list is a host, everything below one, or any host', async (t) => {
  const allowed = (hostname: string, ...entries: string[]): boolean => isAllowedHost(hostname, entries)
  t.ok(allowed('hooks.contoso.com', 'hooks.contoso.com'))
  t.ok(allowed('hooks.contoso.com', 'a.example', 'hooks.contoso.com'))
  t.ok(allowed('hooks.contoso.com', 'Hooks.Contoso.com'), 'in any case')
  t.ok(allowed('a.contoso.com', '*.contoso.com'))
  t.ok(allowed('a.b.contoso.com', '*.contoso.com'))
  t.ok(allowed('a.contoso.com', '*.Contoso.COM'))
  t.ok(allowed('anything', '*'))
  t.ok(allowed('[2606:4700::1]', '[2606:4700::1]'))
  t.notOk(allowed('contoso.com', '*.contoso.com'))
  t.notOk(allowed('.contoso.com', '*.contoso.com'))
  t.notOk(allowed('acontoso.com', '*.contoso.com'))
  t.notOk(allowed('a.contoso.com', 'contoso.com'))
  t.notOk(allowed('contoso.com.evil.example', 'contoso.com', '*.contoso.com'))
  t.notOk(allowed('hooksxcontoso.com', 'hooks.contoso.com'), 'a dot is a dot')
  t.notOk(allowed('a.contoso.com', 'a*.contoso.com'), 'a star stands alone')
  t.notOk(allowed('a.contoso.com'), 'an empty list allows nothing')
})

test('the default list has the callback domains of the public and the sovereign clouds (engine 8.7)', async (t) => {
  for (const hostname of [
    'prod-01.westeurope.logic.azure.com', 'prod-01.usgovvirginia.logic.azure.us', 'prod-01.chinaeast.logic.azure.cn',
    'cakes.azurewebsites.net', 'cakes.azurewebsites.us', 'cakes.chinacloudsites.cn',
    'default0.1f.environment.api.powerplatform.com', 'default0.1f.environment.api.gov.powerplatform.microsoft.us'
  ]) t.ok(isAllowedHost(hostname, defaultAllowedHosts), hostname)
  t.equal(isAllowedHost('localhost', defaultAllowedHosts), false)
})

test('URLs of all versions of one workflow have one form: version, sp and sig are left out (engine 2.9, rule 15)', async (t) => {
  interface Parts { host?: string, workflow?: string, trigger?: string, version?: string, query?: string }
  const of = ({ host = workflowHost, workflow = 'w1', trigger = 'T', version = '1', query }: Parts = {}): string | undefined =>
    versionless(`https://${host}/workflows/${workflow}/triggers/${trigger}/versions/${version}/run?${query ?? `api-version=2016-06-01&sp=%2F${version}&sv=1.0&sig=s${version}`}`)
  t.equal(of({ version: '2' }), of())
  t.equal(of({ query: 'sig=a&api-version=2016-06-01&sv=1.0&sp=b' }), of())
  t.equal(of({ query: 'api-version=2016-06-01&sv=1.0' }), of())
  t.equal(of({ host: `${workflowHost}:443` }), of())
  for (const [name, other] of Object.entries({
    host: { host: 'prod-02.westeurope.logic.azure.com' },
    port: { host: `${workflowHost}:8443` },
    workflow: { workflow: 'w2' },
    trigger: { trigger: 'U' },
    parameter: { query: 'api-version=2016-10-01&sv=1.0' },
    'one parameter less': { query: 'sv=1.0' },
    'one parameter more': { query: 'api-version=2016-06-01&sv=1.0&x=1' },
    'a name that ends in sig': { query: 'api-version=2016-06-01&sv=1.0&mysig=1' },
    'upper case': { query: 'api-version=2016-06-01&sv=1.0&SIG=1' },
    'a second question mark': { query: 'api-version=2016-06-01&sv=1.0?x=1' }
  })) t.not(of(other), of(), name)
  t.not(of({ query: 'a=1?b=1' }), of({ query: 'a=1?b=2' }))
})

test('a URL without a version has no such form: an action\'s, a Request trigger\'s, anybody\'s', async (t) => {
  for (const name of ['action', 'action with port', 'Standard', 'Request trigger'] as const) t.equal(versionless(engineUrls[name]), undefined, name)
  for (const path of ['/', '/triggers/T/run', '/versions/1/run', '/triggers/T/versions/1', '/triggers/versions/1/run', '/x?/triggers/T/versions/1/run']) {
    t.equal(versionless(`https://${workflowHost}${path}`), undefined, path)
  }
  for (const name of ['trigger', 'Power Automate', 'Standard without port'] as const) t.type(versionless(engineUrls[name]), 'string', name)
})

test('the hint shows scheme, host and the head of the path: no query, no tail that may be a key', async (t) => {
  const hint = (text: string): string => parse(text).hint
  t.equal(hint(engineUrls.action), `https://${workflowHost}/workflows/0123456789abcdef0123456789abcdef/…`)
  t.equal(hint(engineUrls['trigger with port']), `https://${workflowHost}/workflows/0123456789abcdef0123456789abcdef/…`)
  t.match(hint(engineUrls['Power Automate']), /\/powerautomate\/automations\/…$/)
  t.equal(hint('http://127.0.0.1:7071/a/b/c'), 'http://127.0.0.1:7071/a/b/…')
  t.equal(hint('https://a.example'), 'https://a.example/')
  t.equal(hint('https://a.example/?key=planted'), 'https://a.example/')
  t.equal(hint('https://a.example?key=planted'), 'https://a.example/')
  for (const tail of ['/planted', '/planted/', '/hooks/planted', '/hooks/planted//', '/services/T0/planted', '/a/b/c/planted', '/hooks/planted?x', '//planted', '/x/../planted', '/planted/..', '/%2e%2e/planted', '/x;planted']) {
    t.notMatch(hint(`https://a.example${tail}`), 'planted', tail)
  }
})
