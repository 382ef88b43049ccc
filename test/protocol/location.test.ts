import fc from 'fast-check'
import { test } from 'tap'
import { baseUrlOf, isLoopback, parseBaseUrl, pathOfTarget } from '../../src/protocol/location.ts'
import { check } from '../helpers/property.ts'

test('a base URL is scheme, host, port and path, without a slash at its end', async (t) => {
  for (const [given, parsed] of [
    ['https://cakes.contoso.com', 'https://cakes.contoso.com'],
    ['https://cakes.contoso.com/', 'https://cakes.contoso.com'],
    ['https://cakes.contoso.com///', 'https://cakes.contoso.com'],
    ['https://cakes.contoso.com:443', 'https://cakes.contoso.com'],
    ['http://cakes.contoso.com:80/', 'http://cakes.contoso.com'],
    ['https://cakes.contoso.com:8443/v1/cakes/', 'https://cakes.contoso.com:8443/v1/cakes'],
    ['HTTPS://Cakes.Contoso.COM/V1', 'https://cakes.contoso.com/V1'],
    ['https://[2001:db8::1]:8443/', 'https://[2001:db8::1]:8443'],
    ['https://192.0.2.7/api', 'https://192.0.2.7/api'],
    ['https://bäcker.example', 'https://xn--bcker-gra.example'],
    ['https://cakes.contoso.com/a%20b', 'https://cakes.contoso.com/a%20b']
  ] as const) t.equal(parseBaseUrl(given, 'baseUrl'), parsed)
})

test('what is no such URL is refused by name', async (t) => {
  for (const odd of ['', ' ', '/cakes', 'cakes.contoso.com', 'localhost:3000', '//cakes.contoso.com', 'ftp://cakes.contoso.com', 'ws://cakes.contoso.com', 'file:///etc/passwd', 'javascript:alert(1)', 'https://', 'https://:8080', 'https://a b', 'https://a:99999', 'https://[::1', 'https://%zz']) {
    t.throws(() => parseBaseUrl(odd, 'baseUrl'), { name: 'TypeError', message: /^baseUrl must be an absolute http or https URL, such as / }, odd)
  }
  for (const odd of ['https://a/?x=1', 'https://a/#x', 'https://user@a', 'https://user:secret@a', 'https://:secret@a']) {
    t.throws(() => parseBaseUrl(odd, 'baseUrl'), { name: 'TypeError', message: 'baseUrl must have no query, fragment, user name or password' }, odd)
  }
  for (const odd of [undefined, null, 7, {}]) t.throws(() => parseBaseUrl(odd as never, 'baseUrl'), TypeError)
})

test('addresses at which the engine would find itself are known', async (t) => {
  for (const host of ['localhost', 'LOCALHOST', 'cakes.localhost', '127.0.0.1', '127.1', '127.255.255.254', '2130706433', '0x7f.1', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '0.0.0.0', '0', '[::]']) {
    t.equal(isLoopback(`https://${host}:8443/v1`), true, host)
  }
  for (const host of ['cakes.contoso.com', 'localhost.contoso.com', 'notlocalhost', '127.example.com', '127.0.0.1.nip.io', '128.0.0.1', '10.0.0.1', '[2001:db8::1]', '[::2]', '[::ffff:10.0.0.1]', '192.168.0.127']) {
    t.equal(isLoopback(`https://${host}:8443/v1`), false, host)
  }
})

test('what a proxy says makes the URL that the caller used', async (t) => {
  for (const [given, made] of [
    [{ protocol: 'https', host: 'cakes.contoso.com' }, 'https://cakes.contoso.com'],
    [{ protocol: 'http', host: 'cakes.contoso.com:8080' }, 'http://cakes.contoso.com:8080'],
    [{ protocol: 'https', host: 'cakes.contoso.com:443' }, 'https://cakes.contoso.com'],
    [{ protocol: 'https', host: 'cakes.contoso.com:8080', port: '443' }, 'https://cakes.contoso.com'],
    [{ protocol: 'https', host: 'cakes.contoso.com', port: '8443' }, 'https://cakes.contoso.com:8443'],
    [{ protocol: 'https', host: 'cakes.contoso.com:8080', port: '8443' }, 'https://cakes.contoso.com:8443'],
    [{ protocol: 'https', host: 'cakes.contoso.com', prefix: '/bakery' }, 'https://cakes.contoso.com/bakery'],
    [{ protocol: 'https', host: 'cakes.contoso.com', prefix: '/bakery/v1/' }, 'https://cakes.contoso.com/bakery/v1'],
    [{ protocol: 'https', host: 'cakes.contoso.com', prefix: '/~a.b-c_d' }, 'https://cakes.contoso.com/~a.b-c_d'],
    [{ protocol: 'https', host: '[2001:db8::1]' }, 'https://[2001:db8::1]'],
    [{ protocol: 'https', host: '[2001:db8::1]:8080' }, 'https://[2001:db8::1]:8080'],
    [{ protocol: 'https', host: '[2001:db8::1]', port: '8443' }, 'https://[2001:db8::1]:8443'],
    [{ protocol: 'https', host: '[2001:db8::1]:8080', port: '8443', prefix: '/v1' }, 'https://[2001:db8::1]:8443/v1'],
    [{ protocol: 'https', host: '192.0.2.7:8080', port: '443' }, 'https://192.0.2.7'],
    [{ protocol: 'https', host: 'my_host' }, 'https://my_host']
  ] as const) t.equal(baseUrlOf(given), made, JSON.stringify(given))
})

test('a port or a prefix that is none is left out', async (t) => {
  for (const port of ['', 'x', '-1', '1.5', '443x', ' 443', '1234567', '443/evil', '443@evil.example', '٤٤٣']) {
    t.equal(baseUrlOf({ protocol: 'https', host: 'cakes.contoso.com:8080', port }), 'https://cakes.contoso.com:8080', port)
  }
  for (const prefix of ['', '/', 'bakery', '//evil.example', '//', '/a//b', '/a b', '/a?x=1', '/a#x', '/a\\b', '\\evil', '@evil.example', '.evil.example', ':8080', '/a\r\nSet-Cookie: x', '/ä']) {
    t.equal(baseUrlOf({ protocol: 'https', host: 'cakes.contoso.com', prefix }), 'https://cakes.contoso.com', prefix)
  }
  t.equal(baseUrlOf({ protocol: 'https', host: 'cakes.contoso.com', prefix: '/a/../..' }), 'https://cakes.contoso.com', 'and one that climbs gets nowhere')
})

test('a host that is none makes no URL', async (t) => {
  for (const host of [
    '', ' ', 'a b', 'cakes.contoso.com/evil', 'cakes.contoso.com?x', 'cakes.contoso.com#x', 'user@cakes.contoso.com', 'user:secret@cakes.contoso.com',
    'cakes.contoso.com\\evil', 'cakes.contoso.com\r\nX: y', 'cakes.contoso.com,evil.example', 'cakes.contoso.com:', 'cakes.contoso.com:x', 'cakes.contoso.com:99999',
    'cakes.contoso.com:80:80', ':80', '::1', '[::1', '::1]', '[::1]x', '[evil]', '[]', 'a%2eb', 'a;b', "a'b", 'a"b', 'a<b', '☃.example', 'a\u0000b', '%00'
  ]) t.equal(baseUrlOf({ protocol: 'https', host }), undefined, JSON.stringify(host))
  t.equal(baseUrlOf({ protocol: 'https', host: 'cakes.contoso.com', port: '99999' }), undefined)
  for (const protocol of ['', 'ftp', 'javascript', 'https:', 'https://evil.example/', 'trusted', 'http,https']) t.equal(baseUrlOf({ protocol, host: 'cakes.contoso.com' }), undefined, protocol)
})

test('whatever the headers hold, the URL stays at the host that they name', async (t) => {
  const odd = fc.oneof(fc.string(), fc.array(fc.constantFrom('a', '.', ':', '/', '@', '[', ']', '8', '?', '#', '\\', '%', ' ', '\n', 'evil.example')).map((parts) => parts.join('')))
  await check(t, fc.property(odd, fc.option(odd, { nil: undefined }), fc.option(odd, { nil: undefined }), (host, port, prefix) => {
    const made = baseUrlOf({ protocol: 'https', host, port, prefix })
    if (made === undefined) return true
    const { protocol, hostname, username, search, hash, href } = new URL(made)
    return protocol === 'https:' && username === '' && search === '' && hash === '' && !made.endsWith('/') && href.startsWith(made) &&
      hostname === new URL(`https://${host}`).hostname
  }), { numRuns: 3000 })
})

test('the path of a request is what stands between its host and its query', async (t) => {
  for (const [target, path] of [
    ['/cakes', '/cakes'],
    ['/cakes/', '/cakes'],
    ['/cakes//', '/cakes'],
    ['/', ''],
    ['/cakes?x=/y', '/cakes'],
    ['/cakes/?x=1', '/cakes'],
    ['/cakes#x', '/cakes'],
    ['/cakes?x#y', '/cakes'],
    ['/a%20b/c', '/a%20b/c'],
    ['http://evil.example/cakes?x', '/cakes'],
    ['HTTPS://evil.example:8080/cakes', '/cakes'],
    ['http://evil.example', ''],
    ['http://evil.example?x', '']
  ] as const) t.equal(pathOfTarget(target), path, target)
})
