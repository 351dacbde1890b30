import assert from 'node:assert/strict'
import fc from 'fast-check'
import { containerName, stageHost } from '../../src/engine/addresses.js'
import { checkAppName, checkDomain } from '../../src/engine/names.js'
import { containerLabels } from '../../src/engine/routing/labels.js'
import type { StageRoutes } from '../../src/engine/routing/table.js'
import { dynamicFile, epochHost } from '../../src/engine/routing/traefik-dynamic.js'

const OWN = { baseDomain: 'localhost', publicUrl: 'https://deploy.example.com' }

/** One call in a rule of Traefik, as `Host("a", "b")`. */
export interface Matcher {
  readonly name: string
  readonly args: readonly string[]
}

const TOKEN = /\s*(?:([A-Za-z]+)\(|`([^`]*)`|"((?:[^"\\]|\\.)*)"|(&&|\|\||!|,|\(|\)))/sy

/** The matchers and operators of a rule. @throws when it is not a rule */
export function tokenize(rule: string): { matchers: Matcher[]; operators: string[] } {
  const matchers: { name: string; args: string[] }[] = []
  const operators: string[] = []
  let open = 0
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < rule.length) {
    const at = TOKEN.lastIndex
    const found = TOKEN.exec(rule)
    if (!found) throw new Error(`not a rule of Traefik at ${at}: ${rule}`)
    const [, name, raw, quoted, operator] = found
    if (name !== undefined) matchers.push({ name, args: [] })
    if (name !== undefined || operator === '(') open += 1
    if (operator === ')') open -= 1
    if (operator !== undefined && operator !== ')' && operator !== ',') operators.push(operator)
    const text = raw ?? quoted
    if (text !== undefined) {
      if (open < 1 || !matchers.length) throw new Error(`a string outside of a matcher: ${rule}`)
      matchers.at(-1)?.args.push(text)
    }
  }
  if (open !== 0) throw new Error(`not closed: ${rule}`)
  return { matchers, operators }
}

/** What may be in the words that users choose, and what would mean something to Traefik or to Go's templates. */
const HOSTILE = [
  ...[
    '`',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '{{',
    '}}',
    '(',
    ')',
    ',',
    '&&',
    '||',
    '!',
    '#',
    '$',
    '${1}',
    '%',
    '*',
    '@',
  ],
  ...[
    'Host(`x`)',
    '`) || Host(`evil.example',
    '{{ env "X" }}',
    '\n',
    '\r\n',
    '\0',
    ' ',
    '/',
    ':',
    '.',
    '-',
    '_',
  ],
  ...[
    'ß',
    'İ',
    '。',
    'K',
    '㎝',
    'é',
    '\u202e',
    '\u00ad',
    'xn--',
    'a',
    'b',
    'z',
    '0',
    'shop',
    'example.com',
    'www.',
  ],
]
const hostile = fc.array(fc.constantFrom(...HOSTILE), { maxLength: 8 }).map((parts) => parts.join(''))
const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const domain = fc.tuple(label, label, label).map((parts) => parts.join('.'))
const word = fc.oneof(
  { weight: 2, arbitrary: hostile },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  { weight: 2, arbitrary: fc.tuple(domain, hostile).map(([good, bad]) => good + bad) },
  { weight: 3, arbitrary: domain },
  { weight: 3, arbitrary: label },
)

/** Mostly what is allowed, so that one bad word among good ones is tried as often as many. */
const mostly = (good: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 5, arbitrary: good }, { weight: 1, arbitrary: word })

/** Names, hosts and paths, of which each may be anything. */
const input = fc.record({
  app: mostly(label),
  stage: mostly(label),
  base: mostly(domain),
  domains: fc.array(mostly(domain), { maxLength: 2 }),
  to: mostly(domain),
  path: mostly(domain),
  id: mostly(label),
  address: mostly(fc.ipV4()),
  resolver: fc.constantFrom(null, null, 'le', '{{ env "X" }}', 'a`b'),
})
type Input = typeof input extends fc.Arbitrary<infer T> ? T : never

/** How many of the runs gave files, labels and refusals: a property that refuses everything would hold as well. */
export interface Tally {
  files: number
  labels: number
  refused: number
}

/** Renders `runs` sets of strings. @throws on the first that gets anything but one Host matcher into a rule */
export function fuzzRules(runs: number): Tally {
  const tally = { files: 0, labels: 0, refused: 0 }
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0 // refusals are errors, and their stacks would be most of the time
  try {
    const property = fc.property(input, (one) => checkOne(one, tally))
    fc.assert(property, { numRuns: runs })
  } finally {
    Error.stackTraceLimit = limit
  }
  return tally
}

function checkOne(one: Input, tally: Tally): void {
  const asked = stageOf(one, one.app, [...one.domains, one.path])
  const file = attempt(() => dynamicFile(asked, entriesOf(one.resolver)))
  if (file === undefined) tally.refused += 1
  else if (file !== null) {
    tally.files += 1
    checkFile(file, asked)
  }
  const labels = attempt(() => containerLabels(labelsOf(one)))
  if (labels) {
    tally.labels += 1
    for (const [name, value] of Object.entries(labels)) if (name.endsWith('.rule')) checkRule(value)
  }
  checkAccepted(one)
}

/** What the API takes is never refused here: a stage must not be without its file. */
function checkAccepted(one: Input): void {
  const app = attempt(() => checkAppName('name', one.app))
  const hosts = one.domains.flatMap((host) => attempt(() => checkDomain('host', host, OWN)) ?? [])
  if (app === undefined && hosts.length === 0) return
  const safe = {
    ...one,
    id: 'abc',
    base: 'localhost',
    to: 'www.example.com',
    address: '10.0.0.1',
    stage: 's',
  }
  const stage = stageOf(safe, app ?? 'shop', hosts)
  const file = dynamicFile(stage, entriesOf(null))
  assert.ok(file !== null)
  checkFile(file, stage)
}

function checkFile(file: string, stage: StageRoutes): void {
  const [first = '', ...rest] = file.split('\n')
  assert.equal(first, '# longshore route_epoch=7')
  assert.ok(!file.includes('{{'), file)
  const { http } = JSON.parse(rest.join('\n')) as { http: { routers: Record<string, { rule: string }> } }
  const hosts = new Set([
    ...stage.hosts,
    epochHost(stage),
    ...stage.redirects.keys(),
    ...stage.deployments.map(({ host }) => host),
  ])
  for (const { rule } of Object.values(http.routers)) {
    assert.ok(hosts.has(checkRule(rule)), rule)
  }
}

/** Gives the host. */
function checkRule(rule: string): string {
  const { matchers, operators } = tokenize(rule)
  const isOne = matchers.length === 1 && matchers[0]?.name === 'Host' && matchers[0].args.length === 1
  assert.ok(isOne && operators.length === 0, rule)
  const host = matchers[0]?.args[0] ?? ''
  assert.match(host, /^[a-z0-9.-]+$/)
  return host
}

function stageOf(one: Input, app: string, domains: readonly string[]): StageRoutes {
  const target = { deploymentId: one.id, addresses: [one.address], port: 3000 }
  return {
    stageId: one.id,
    appName: app,
    stageName: one.stage,
    routeEpoch: 7,
    hosts: [stageHost(app, one.stage, one.base), ...domains],
    redirects: new Map(domains.map((host) => [`www.${host}`, one.to] as const)),
    current: target,
    starting: [],
    failed: [],
    deployments: [{ host: `${containerName(app, one.id)}.${one.base}`, target }],
  }
}

function labelsOf(one: Input) {
  return {
    container: containerName(one.app, one.id),
    port: 80,
    baseDomain: one.base,
    instanceId: 'inst',
    appId: one.id,
    deploymentId: one.id,
    epoch: 1,
    carries: { stageId: one.id, host: stageHost(one.app, one.stage, one.base) },
  }
}

function entriesOf(certResolver: string | null) {
  return { entryPoint: 'web', tlsEntryPoint: 'websecure', certResolver }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
