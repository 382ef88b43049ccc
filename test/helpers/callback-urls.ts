/*
 * Callback URLs as the engine hands them out (engine 2.8 to 2.12), and as an attacker would.
 */

export const workflowHost = 'prod-01.westeurope.logic.azure.com'
const workflow = '/workflows/0123456789abcdef0123456789abcdef'
const run = '08584947123456789012345678901CU42'
const signature = '4Xz_pZ-Q7v0mTnB2kLw8sYhR1cJfGdEaU6iO3xN5yMk'

const query = (permission: string): string =>
  `api-version=2016-06-01&sp=${encodeURIComponent(`${permission}/run`)}%2C${encodeURIComponent(`${permission}/read`)}&sv=1.0&sig=${signature}`

export const engineUrls = {
  action: `https://${workflowHost}${workflow}/runs/${run}/actions/Bake_a_cake/run?${query(`/runs/${run}/actions/Bake_a_cake`)}`,
  'action with port': `https://${workflowHost}:443${workflow}/runs/${run}/actions/Bake_a_cake/run?${query(`/runs/${run}/actions/Bake_a_cake`)}`,
  trigger: `https://${workflowHost}${workflow}/triggers/When_an_order/versions/08584947111111111111/run?${query('/triggers/When_an_order/versions/08584947111111111111')}`,
  'trigger with port': `https://${workflowHost}:443${workflow}/triggers/When_an_order/versions/08584947111111111111/run?${query('/triggers/When_an_order/versions/08584947111111111111')}`,
  'Power Automate': `https://default0123456789abcdef0123456789abcd.ef.environment.api.powerplatform.com:443/powerautomate/automations/direct${workflow}/triggers/When_an_order/versions/08584947111111111111/run?api-version=1&sp=%2Ftriggers%2FWhen_an_order%2Frun&sv=1.0&sig=${signature}`,
  'Power Automate without port': `https://default0123456789abcdef0123456789abcd.ef.environment.api.powerplatform.com/powerautomate/automations/direct${workflow}/triggers/When_an_order/versions/1/run?api-version=1&sp=%2Ftriggers&sv=1.0&sig=${signature}`,
  Standard: `https://cakes.azurewebsites.net:443/runtime/webhooks/workflow/scaleUnits/prod-00${workflow}/runs/${run}/actions/Bake_a_cake/run?${query(`/runs/${run}/actions/Bake_a_cake`)}`,
  'Standard without port': `https://cakes.azurewebsites.net/runtime/webhooks/workflow/scaleUnits/prod-00${workflow}/triggers/When_an_order/versions/1/run?${query('/triggers/When_an_order')}`,
  'Request trigger': `https://${workflowHost}:443${workflow}/triggers/manual/paths/invoke?api-version=2016-10-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=${signature}`,
  'sovereign cloud': `https://prod-01.usgovvirginia.logic.azure.us:443${workflow}/triggers/manual/paths/invoke?sig=${signature}`
}

const h = workflowHost

/** Refused, wherever callbacks may go: with `allowedHosts: ['*']` and http too. */
export const evasiveUrls: Record<string, readonly string[]> = {
  'IPv4 in decimal, octal and hexadecimal': [
    'https://2130706433/', 'https://2852039166/', 'https://017700000001/', 'https://0177.0.0.1/', 'https://0177.0.0.01/', 'https://00000177.0.0.1/',
    'https://0x7f000001/', 'https://0x7f.0.0.1/', 'https://0X7F.0.0.1/', 'https://0xa9.0xfe.0xa9.0xfe/', 'https://0/', 'https://0x/', 'https://00/'
  ],
  'IPv4 mixed and shortened': [
    'https://127.1/', 'https://127.0.1/', 'https://0x7f.1/', 'https://127.0x0.0.1/', 'https://169.254.43518/', 'https://169.16689662/', 'https://10.1/', 'https://1/'
  ],
  'IPv4 too large': ['https://127.0.0.256/', 'https://4294967296/', 'https://127.0.0.1.1/', 'https://0x100000000/'],
  'IPv4 not public': [
    'https://127.0.0.1/', 'https://127.255.255.254/', 'https://0.0.0.0/', 'https://10.0.0.1/', 'https://172.16.0.1/', 'https://192.168.0.1/',
    'https://169.254.169.254/metadata/instance', 'https://168.63.129.16/', 'https://100.64.0.1/', 'https://224.0.0.1/', 'https://255.255.255.255/', 'http://127.0.0.1/'
  ],
  'IPv6 not public': [
    'https://[::1]/', 'https://[::]/', 'https://[fe80::1]/', 'https://[fc00::1]/', 'https://[fd00:ec2::254]/', 'https://[fec0::1]/', 'https://[ff02::1]/', 'https://[2001:db8::1]/'
  ],
  'IPv4 inside IPv6': [
    'https://[::ffff:7f00:1]/', 'https://[::ffff:a9fe:a9fe]/', 'https://[::7f00:1]/', 'https://[::ffff:0:7f00:1]/', 'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b::a9fe:a9fe]/', 'https://[64:ff9b:1:7f00:0:100::]/', 'https://[64:ff9b:1::808:808]/', 'https://[2002:7f00:1::]/', 'https://[2002:a9fe:a9fe::1]/', 'https://[2001:0:7f00:1::]/'
  ],
  'IPv6 in another spelling': [
    'https://[0:0:0:0:0:0:0:1]/', 'https://[0000::0001]/', 'https://[::ffff:127.0.0.1]/', 'https://[::127.0.0.1]/', 'https://[64:ff9b::127.0.0.1]/',
    'https://[::FFFF:0:127.0.0.1]/', 'https://[2606:4700:4700:0::1111]/', 'https://[::1', 'https://::1/', 'https://[v1.x]/', 'https://[]/', 'https://[127.0.0.1]/'
  ],
  'IPv6 with a zone': ['https://[fe80::1%25eth0]/', 'https://[fe80::1%eth0]/', 'https://[::1%25lo]/', 'https://[2606:4700:4700::1111%251]/'],
  'user name': [
    `https://${h}@evil.example/`, `https://user:pass@${h}/`, `https://user@${h}/`, `https://@${h}/`, `https://:@${h}/`, `https://${h}:443@evil.example/`,
    `https://${h}%40evil.example/`, `https://evil.example@${h}:443/`
  ],
  'Unicode digits, dots and letters': [
    'https://１２７.0.0.1/', 'https://①②⑦.⓪.⓪.①/', 'https://127。0。0。1/', 'https://127．0．0．1/', 'https://127｡0｡0｡1/', 'https://١٢٧.0.0.1/',
    `https://${h.replaceAll('.', '。')}/`, `https://${h.replace('logic', 'lоgic')}/`, `https://${h.replace('logic', 'ⓛogic')}/`, 'https://ⓔⓥⓘⓛ.example/',
    `https://${h.replace('logic', 'lo\u00adgic')}/`, `https://${h.replace('logic', 'lo\u200bgic')}/`, `https://\u202e${h}/`, `https://${h}／@evil.example/`,
    `https://${h}/ü`, 'https://ﬀ.example/', `https://${h}\u2028/`
  ],
  'trailing dots': [`https://${h}./`, `https://${h}../`, 'https://127.0.0.1./', `https://${h}.:443/`],
  'white space and control characters': [
    `https://${h}\r\n/`, `https://${h}/\r\nhost: evil.example`, `https://${h}/?a=1\nb`, `https://${h}/\t`, `ht\ttps://${h}/`, `https://127.0.0.1\t.${h}/`, ` https://${h}/`, `https://${h}/ `,
    `\u0000https://${h}/`, `https://${h}\u0000.evil.example/`, `https://${h}/\u0000`, `https://${h}/\u007f`, `https://${h}/\u0085`, `https://${h} /`, `https:// ${h}/`, `https://${h}/a b`
  ],
  backslashes: [`https:\\\\${h}\\`, `https:/\\${h}/`, `https://evil.example\\@${h}/`, `https://${h}\\.evil.example/`, `https://${h}/\\evil.example`, `\\\\${h}\\x`],
  'too long': [`https://${h}/${'a'.repeat(16_384)}`, `https://${'a.'.repeat(8000)}${h}/`, `https://${h}/?sig=${'a'.repeat(4096)}`],
  'the host in percent signs': [`https://%70${h.slice(1)}/`, 'https://127.0.0.%31/', 'https://%31%32%37.0.0.1/', `https://${h}%2eevil.example/`, `https://${h}%00.evil.example/`, `https://${h}%0d%0a/`, 'https://%6c%6fcalhost/', `https://${h}%2f@evil.example/`],
  'ports that are none': [`https://${h}:99999/`, `https://${h}:-1/`, `https://${h}:x/`, `https://${h}:443:443/`, `https://${h}:4 43/`, `https://${h}:+443/`, `https://${h}:0x1bb/`, `https://${h}:4.43/`],
  'empty parts': ['https://', 'https:', 'https:///', 'https:///path', 'https://?x', 'https://:443/', 'https://#', '/', '//', '?', '#', '.', 'https'],
  'relative and half absolute': [`//${h}/`, `${h}/x`, `https:${h}/`, `https:/${h}/`, `/${h}`, `https//${h}/`, `:https://${h}/`, `https::/${h}`, `https:///${h}/`, `https:////${h}/`],
  'other schemes': [
    'file:///etc/passwd', 'file://localhost/etc/passwd', 'javascript:alert(1)', `javascript://${h}/%0aalert(1)`, 'data:text/plain,x', `ftp://${h}/`, `ws://${h}/`, `wss://${h}/`, `gopher://${h}/`,
    `blob:https://${h}/x`, `https+unix://${h}/`, `view-source:https://${h}/`, `url:https://${h}/`, `xhttps://${h}/`, `httpss://${h}/`, 'unix:/var/run/docker.sock', 'about:blank', 'mailto:a@b.example'
  ],
  fragments: [`https://${h}/#x`, `https://${h}#@evil.example/`, `https://evil.example#${h}`, `https://evil.example/#@${h}/`, `https://${h}/?sig=x#`],
  'characters that readers disagree on': [`https://${h}/<x>`, `https://${h}/"x"`, `https://${h}/{x}`, `https://${h}/|x`, `https://${h}/^x`, `https://${h}/\`x\``, `https://${h}<.evil.example/`, `https://${h}^/`]
}

/** Not the host they look like: refused by a list of hosts, and nowhere else than where they say where any host is allowed. */
export const foreignUrls: Record<string, readonly string[]> = {
  'an allowed host as the beginning of another': [`https://${h}.evil.example/`, `https://${h}evil.example/`, `https://${h}-evil.example/`, `https://${h}.co/`],
  'an allowed host as the end of another': ['https://notlogic.azure.com/', 'https://evil-logic.azure.com/', 'https://evillogic.azure.com/', 'https://xazurewebsites.net/'],
  'the allowed domain itself': ['https://logic.azure.com/', 'https://azurewebsites.net/', 'https://.logic.azure.com/', 'https://environment.api.powerplatform.com/'],
  'an allowed host elsewhere in the URL': [`https://evil.example/${h}`, `https://evil.example/?${h}`, `https://evil.example?@${h}/`, `https://evil.example/@${h}/`, `https://evil.example/.${h}`, `https://evil.example:443/https://${h}/`],
  'punycode of a homograph': ['https://prod-01.westeurope.xn--lgic-55d.azure.com/', 'https://prod-01.westeurope.logic.xn--azre-4ve.com/', 'https://prod-01.westeurope.logic.azure.xn--om-nmc/'],
  'another separator': ['https://prod-01.westeurope.logic-azure.com/', 'https://prod-01.westeurope.logic_azure.com/', 'https://logic.azure.com.evil.example/']
}

/** Odd, and taken: they go to the allowed host they name, and nowhere else. */
export const harmlessUrls: Record<string, { url: string, host: string, target: string }> = {
  'upper case': { url: `HTTPS://${h.toUpperCase()}/A?B=C`, host: `${h}:443`, target: '/A?B=C' },
  'no path': { url: `https://${h}`, host: `${h}:443`, target: '/' },
  'a query without a path': { url: `https://${h}?a=1`, host: `${h}:443`, target: '/?a=1' },
  'an empty port': { url: `https://${h}:/x`, host: `${h}:443`, target: '/x' },
  'a port with zeros': { url: `https://${h}:000443/x`, host: `${h}:443`, target: '/x' },
  'another port': { url: `https://${h}:8443/x`, host: `${h}:8443`, target: '/x' },
  'steps back in the path': { url: `https://${h}/a/../../b/%2e%2e/c/./d`, host: `${h}:443`, target: '/a/../../b/%2e%2e/c/./d' },
  'slashes in the path': { url: `https://${h}//evil.example//x`, host: `${h}:443`, target: '//evil.example//x' },
  'encoded line ends': { url: `https://${h}/a%0d%0ahost:%20evil.example?b=%0D%0A`, host: `${h}:443`, target: '/a%0d%0ahost:%20evil.example?b=%0D%0A' },
  'a user name in the path': { url: `https://${h}/user:pass@evil.example/?a@b`, host: `${h}:443`, target: '/user:pass@evil.example/?a@b' },
  'percent signs that encode nothing': { url: `https://${h}/100%/%zz?%`, host: `${h}:443`, target: '/100%/%zz?%' },
  'several question marks': { url: `https://${h}/a?b?c=https://evil.example/?d`, host: `${h}:443`, target: '/a?b?c=https://evil.example/?d' },
  'quotes and brackets': { url: `https://${h}/'a'(b)[c]*!;$,?x[]=1`, host: `${h}:443`, target: '/\'a\'(b)[c]*!;$,?x[]=1' },
  'an empty label': { url: `https://a..${h.slice(8)}/`, host: `a..${h.slice(8)}:443`, target: '/' }
}
