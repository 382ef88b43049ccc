/* The files that a connector is uploaded with (openapi 5, engine 10.7). */
import { crc32, inflateSync } from 'node:zlib'
import { test, type Test } from 'tap'
import { createBundle, type BundleFile, type BundleOptions, type SwaggerDocument, type SwaggerSecurityDefinition } from '../../src/connector/index.ts'

const bare: SwaggerDocument = {
  swagger: '2.0',
  info: { title: 'Contoso\'s Bakery', version: '1.0.0', description: 'Costs $' + '{nothing}.\nTwo lines.', contact: { name: 'Contoso' } },
  host: 'cakes.contoso.com:8443',
  basePath: '/shop/',
  schemes: ['https'],
  paths: { '/flavours': { get: { operationId: 'ListFlavours', summary: 'List flavours', parameters: [], responses: { 200: { description: 'OK' } } } } }
}

const secured = (definition: SwaggerSecurityDefinition): SwaggerDocument => ({ ...bare, securityDefinitions: { main: definition }, security: [{ main: [] }] })

function textOf (files: BundleFile[], path: string): string {
  return files.find((file) => file.path === path)!.content as string
}

interface Properties { connectionParameters: Record<string, Record<string, unknown>>, [name: string]: unknown }

function propertiesOf (document: SwaggerDocument, options?: BundleOptions): Properties {
  return (JSON.parse(textOf(createBundle(document, options), 'apiProperties.json')) as { properties: Properties }).properties
}

const oauth = (authorizationUrl: string, scopes: Record<string, string> = {}): SwaggerSecurityDefinition => ({ type: 'oauth2', flow: 'accessCode', authorizationUrl, tokenUrl: 'https://id.example/token', scopes })

test('the same document gives the same files', (t) => {
  const files = createBundle(bare)
  t.same(files.map(({ path }) => path), ['apiDefinition.swagger.json', 'apiProperties.json', 'customApi.bicep', 'icon.png', 'workflows/ListFlavours.http.json', 'workflows/ListFlavours.api-connection.json'])
  t.same(createBundle(structuredClone(bare)), files)
  t.same(JSON.parse(textOf(files, 'apiDefinition.swagger.json')), bare)
  t.match(textOf(files, 'apiDefinition.swagger.json'), /\n$/)
  t.end()
})

test('without authentication: no connection parameters, no policies, no stackOwner', (t) => {
  t.same(propertiesOf(bare), { connectionParameters: {}, iconBrandColor: '#da3b01', capabilities: [], publisher: 'Contoso', policyTemplateInstances: [] })
  t.notOk('publisher' in propertiesOf({ ...bare, info: { title: 'T', version: '1' } }))
  t.end()
})

test('an API key and basic authentication are asked for as secrets', (t) => {
  const key = propertiesOf(secured({ type: 'apiKey', in: 'header', name: 'x-api-key' })).connectionParameters
  t.match(key, { api_key: { type: 'securestring', uiDefinition: { displayName: 'API key', constraints: { clearText: false, required: 'true' } } } })
  t.same(Object.keys(key), ['api_key'])
  const basic = propertiesOf(secured({ type: 'basic' })).connectionParameters
  t.match(basic, { username: { type: 'securestring' }, password: { type: 'securestring' } })
  t.end()
})

test('OAuth 2: an identity provider of one\'s own', (t) => {
  const { connectionParameters } = propertiesOf(secured(oauth('https://id.example/authorize', { bake: 'Bake', order: 'Order' })), { clientId: 'abc' })
  t.match(connectionParameters, {
    token: {
      type: 'oauthSetting',
      oAuthSettings: {
        identityProvider: 'oauth2',
        clientId: 'abc',
        scopes: ['bake', 'order'],
        redirectMode: 'Global',
        redirectUrl: 'https://global.consent.azure-apim.net/redirect',
        customParameters: { authorizationUrl: { value: 'https://id.example/authorize' }, tokenUrl: { value: 'https://id.example/token' }, refreshUrl: { value: 'https://id.example/token' } }
      }
    }
  })
  t.same(Object.keys(connectionParameters), ['token'])
  t.match(propertiesOf(secured(oauth('https://id.example/authorize'))).connectionParameters, { token: { oAuthSettings: { clientId: '<client id>' } } }, 'a text that says what belongs there')
  t.end()
})

test('Entra ID: tenant, cloud and what tokens are asked for are read from the URLs and scopes', (t) => {
  const entra = (url: string, scopes: Record<string, string>, options?: BundleOptions): unknown =>
    (propertiesOf(secured(oauth(url, scopes)), options).connectionParameters as { token: { oAuthSettings: { identityProvider: string, customParameters: unknown } } }).token.oAuthSettings
  t.match(entra('https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize', { 'api://cakes/Cakes.Bake': 'Bake' }), {
    identityProvider: 'aad',
    scopes: ['api://cakes/Cakes.Bake'],
    customParameters: { loginUri: { value: 'https://login.microsoftonline.com' }, tenantId: { value: 'contoso.com' }, resourceUri: { value: 'api://cakes' } }
  })
  t.match(entra('https://login.microsoftonline.us', {}, { resourceUri: 'api://other' }), { customParameters: { loginUri: { value: 'https://login.microsoftonline.us' }, tenantId: { value: 'common' }, resourceUri: { value: 'api://other' } } })
  t.match(entra('https://login.windows.net/common', { user_impersonation: '' }), { customParameters: { resourceUri: { value: '<application id URI>' } } })
  t.match(propertiesOf(secured(oauth('https://login.microsoftonline.com/common'))).connectionParameters['token:TenantId'], { metadata: { sourceType: 'AzureActiveDirectoryTenant' } })
  t.end()
})

test('of several ways the first is taken, as the wizard does', (t) => {
  const securityDefinitions: Record<string, SwaggerSecurityDefinition> = { key: { type: 'apiKey', in: 'query', name: 'key' }, user: { type: 'basic' } }
  t.same(Object.keys(propertiesOf({ ...bare, securityDefinitions, security: [{ user: [] }, { key: [] }] }).connectionParameters), ['username', 'password'])
  t.same(Object.keys(propertiesOf({ ...bare, securityDefinitions }).connectionParameters), ['api_key'])
  t.end()
})

test('Bicep: the resource, with the document and the icon of the files beside it', (t) => {
  const bicep = textOf(createBundle(bare), 'customApi.bicep')
  t.match(bicep, "resource connector 'Microsoft.Web/customApis@2016-06-01' = {")
  t.match(bicep, "swagger: loadJsonContent('apiDefinition.swagger.json')")
  t.match(bicep, "param serviceUrl string = 'https://cakes.contoso.com:8443/shop'")
  t.match(bicep, "param name string = 'contoso-s-bakery'")
  t.match(bicep, "displayName: 'Contoso\\'s Bakery'", 'quotes')
  t.match(bicep, "description: 'Costs \\$" + "{nothing}.\\nTwo lines.'", 'no interpolation, no line break')
  t.notMatch(bicep, 'clientSecret')
  t.end()
})

test('Bicep: the secret of OAuth 2 is a secure parameter, and stands in no file', (t) => {
  const files = createBundle(secured(oauth('https://id.example/authorize')), { clientId: 'abc' })
  const bicep = textOf(files, 'customApi.bicep')
  t.match(bicep, "param clientId string = 'abc'")
  t.match(bicep, '@secure()\nparam clientSecret string\n')
  t.match(bicep, /clientId: clientId\n +scopes: \[\]/)
  t.match(bicep, 'clientSecret: clientSecret')
  t.notMatch(textOf(files, 'apiProperties.json'), 'clientSecret')
  const entra = textOf(createBundle(secured(oauth('https://login.microsoftonline.com/common'))), 'customApi.bicep')
  t.match(entra, "'token:TenantId': {")
  t.match(entra, /#disable-next-line BCP037\n +redirectMode: 'Global'\n/)
  t.match(entra, /#disable-next-line no-hardcoded-env-urls\n +value: 'https:\/\/login/)
  t.end()
})

/** Reads a PNG of a palette. */
function readPng (t: Test, png: Buffer): { width: number, height: number, colorsOf: (x: number, y: number) => number[] } {
  t.equal(png.subarray(0, 8).toString('hex'), '89504e470d0a1a0a')
  const chunks: Record<string, Buffer> = {}
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    t.equal(png.readUInt32BE(at + 8 + length), crc32(png.subarray(at + 4, at + 8 + length)), 'the check of the chunk')
    chunks[png.subarray(at + 4, at + 8).toString()] = png.subarray(at + 8, at + 8 + length)
    at += length + 12
  }
  const { IHDR, PLTE, IDAT } = chunks as { IHDR: Buffer, PLTE: Buffer, IDAT: Buffer }
  const [width, height] = [IHDR.readUInt32BE(0), IHDR.readUInt32BE(4)]
  t.same([...IHDR.subarray(8)], [2, 3, 0, 0, 0], 'two bits a pixel, of a palette')
  const pixels = inflateSync(IDAT)
  const row = 1 + Math.ceil(width / 4)
  t.equal(pixels.length, row * height)
  return {
    width,
    height,
    colorsOf (x, y) {
      const shade = (pixels[y * row + 1 + (x >> 2)]! >> (6 - 2 * (x & 3))) & 3
      return [...PLTE.subarray(3 * shade, 3 * shade + 3)]
    }
  }
}

test('the icon is a PNG: a white mark of 160 pixels on 230 of the brand\'s colour', (t) => {
  const icon = createBundle(bare, { brandColor: '#1a2B3c' }).find(({ path }) => path === 'icon.png')!.content as Buffer
  const { width, height, colorsOf } = readPng(t, icon)
  t.same([width, height], [230, 230])
  for (const [x, y] of [[0, 0], [229, 229], [30, 115], [115, 199]] as const) t.same(colorsOf(x, y), [0x1a, 0x2b, 0x3c], `${x},${y}`)
  for (const [x, y] of [[115, 115], [40, 115], [115, 190]] as const) t.same(colorsOf(x, y), [255, 255, 255], `${x},${y}`)
  const own = Buffer.from('mine')
  t.equal(createBundle(bare, { icon: own }).find(({ path }) => path === 'icon.png')!.content, own)
  t.end()
})

test('what can be no connector is told, with its mend', (t) => {
  const { host: _, ...homeless } = bare
  const named = (operationId: string): SwaggerDocument => ({ ...bare, paths: { '/x': { get: { operationId, responses: {} } } } })
  for (const [document, options, message] of [
    [homeless, {}, /names no host.*baseUrl/],
    [bare, { brandColor: 'red' }, /brandColor is "red": it must be written as #da3b01/],
    [bare, { brandColor: '#FFFFFF' }, /not be #ffffff/],
    [secured({ type: 'oauth2', flow: 'application', tokenUrl: 'https://id.example/token' }), {}, /securityDefinitions\.main\.flow is "application".*accessCode/],
    [secured({ type: 'oauth2', flow: 'accessCode', authorizationUrl: '/authorize', tokenUrl: 'https://id.example/token' }), {}, /main\.authorizationUrl must be the absolute URL/],
    [secured({ type: 'oauth2', flow: 'accessCode', authorizationUrl: 'https://id.example/' }), {}, /main\.tokenUrl must be/],
    [secured({ type: 'apiKey' }), {}, /main\.name is missing/],
    [secured({ type: 'mutualTLS' } as never), {}, /main\.type is "mutualTLS"/],
    [named('../../evil'), {}, /can be no file name/],
    [named('.hidden'), {}, /can be no file name/]
  ] as [SwaggerDocument, BundleOptions, RegExp][]) t.throws(() => createBundle(document, options), { code: 'FST_LOGIC_APPS_INVALID_CONNECTOR', message }, String(message))
  t.end()
})
