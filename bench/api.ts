import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { graphql } from 'graphql'
import type { Logger as QueryLogger } from 'typeorm'
import { Disposal } from '../src/disposal.js'
import { Commands } from '../src/engine/commands.js'
import { Queries } from '../src/engine/queries.js'
import { buildSchema } from '../src/resolvers/build-schema.js'
import { createContext } from '../src/resolvers/request-context.js'
import { TOKEN } from '../test/support/server.js'
import type { BareSetup, Statement } from './api-bare.js'
import { insertLists, type ListName, LISTS } from './api-lists.js'
import { open } from './log.js'
import { Longshore } from './longshore.js'
import { processorMs } from './processor.js'
import { atMost, median, ms, printTable, ratios, ratioText, rotated, rounds, spread } from './report.js'

/** Before the first round: V8 compiles what runs often, and that takes a while. */
const WARM_UP = 600
const REQUESTS = 300
const IN_FLIGHT = 16
const POOL = 12
const GOAL = { bare: 2.8, plain: 2 }
const NAMES = Object.keys(LISTS) as ListName[]

interface Server {
  readonly name: string
  readonly pid: number | undefined
  readonly urlOf: (list: ListName) => string
  readonly measured: Readonly<Record<ListName, Measured[]>>
}

interface Measured {
  /** Processor of the server for one request. */
  readonly processorMs: number
  readonly perSecond: number
}

/** Lists as a frontend asks for them, against a bare server that sends the same statements and the same answers. */
export async function run(count: number): Promise<void> {
  await using opened = new Disposal()
  const longshore = opened.use(await Longshore.create())
  await insertLists(longshore)
  const bare = await startBare({
    url: longshore.installation.database.url,
    connections: POOL,
    statements: await statementsOf(longshore),
  })
  opened.defer(() => void bare.child.kill())
  const { child } = await longshore.start({ ROLES: 'api' })
  const servers = [
    serverOf('Longshore', child, () => `http://127.0.0.1:${longshore.port}/graphql`),
    serverOf('bare node:http', bare.child, (list) => `http://127.0.0.1:${bare.port}/${list}`),
  ]
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
  opened.defer(() => agent.destroy())
  for (const list of NAMES) await compare(agent, servers, list)
  for (const list of NAMES) for (const server of servers) await ask(agent, server, list, WARM_UP)
  for (const round of rounds(count)) {
    for (const list of rotated(NAMES, round)) {
      for (const server of rotated(servers, round)) await measure(agent, server, list)
    }
  }
  report(servers, count)
}

function serverOf(name: string, { pid }: ChildProcess, urlOf: Server['urlOf']): Server {
  return { name, pid, urlOf, measured: { plain: [], dashboard: [], deployments: [], log: [] } }
}

/** What the API sends to the database for each list, as it carries the query out in this process. */
async function statementsOf(longshore: Longshore): Promise<Record<ListName, Statement[]>> {
  await using core = await open(longshore)
  const statements: Record<ListName, Statement[]> = { plain: [], dashboard: [], deployments: [], log: [] }
  const schema = await buildSchema(core.logger)
  const { database, wakeups, hub, secrets, config } = core
  const commands = new Commands({ database, wakeups, secrets, settings: config })
  const api = { commands, queries: new Queries(database), hub, wakeups, address: config }
  for (const list of NAMES) {
    const logQuery = (sql: string, values: unknown[] = []) => void statements[list].push({ sql, values })
    database.setOptions({ logging: true, logger: { logQuery } as unknown as QueryLogger })
    const { query: source, variables: variableValues } = LISTS[list]
    const { errors } = await graphql({ schema, source, variableValues, contextValue: createContext(api) })
    assert.equal(errors, undefined)
  }
  return statements
}

async function startBare(setup: BareSetup): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL('api-bare.js', import.meta.url)), { execArgv: [] })
  child.send(setup)
  const [port] = (await once(child, 'message')) as [number]
  return { child, port }
}

/** @throws AssertionError unless both answer the same */
async function compare(agent: Agent, servers: readonly Server[], list: ListName): Promise<void> {
  const answers: unknown[] = []
  for (const server of servers) {
    const text = await post(agent, server.urlOf(list), bodyOf(list))
    answers.push(JSON.parse(text.replaceAll(/localhost:\w+/g, 'localhost')))
  }
  assert.deepEqual(answers[0], answers[1], list)
}

async function measure(agent: Agent, server: Server, list: ListName): Promise<void> {
  const [startedAt, used] = [performance.now(), processorMs(server.pid)]
  await ask(agent, server, list, REQUESTS)
  server.measured[list].push({
    processorMs: (processorMs(server.pid) - used) / REQUESTS,
    perSecond: (REQUESTS * 1000) / (performance.now() - startedAt),
  })
}

async function ask(agent: Agent, server: Server, list: ListName, count: number): Promise<void> {
  const [url, body] = [server.urlOf(list), bodyOf(list)]
  let left = count
  const one = async () => {
    while (left-- > 0) await post(agent, url, body)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
}

function bodyOf(list: ListName): string {
  const { query, variables } = LISTS[list]
  return JSON.stringify({ query, variables })
}

function post(agent: Agent, url: string, body: string): Promise<string> {
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: `Bearer ${TOKEN}`,
  }
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', agent, headers }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => (text += part))
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text)
        else reject(new Error(`${url} answered ${answer.statusCode}: ${text}`))
      })
    })
    asked.on('error', reject).end(body)
  })
}

function report(servers: readonly Server[], count: number): void {
  const of = (server: Server | undefined, list: ListName, value: keyof Measured) =>
    (server?.measured[list] ?? []).map((one) => one[value])
  const [longshore, bare] = servers
  const whole = (value: number) => value.toFixed(0)
  const rows = NAMES.map((list) => {
    const [ours, theirs] = [of(longshore, list, 'processorMs'), of(bare, list, 'processorMs')]
    const times = ratios(ours, theirs)
    const rates = ratios(of(bare, list, 'perSecond'), of(longshore, list, 'perSecond'))
    const plain = ratios(ours, of(longshore, 'plain', 'processorMs'))
    return [
      LISTS[list].title,
      ...[spread(ours, ms), spread(theirs, ms), spread(times, ratioText)],
      ...[median(of(longshore, list, 'perSecond')), median(of(bare, list, 'perSecond'))].map(whole),
      ratioText(median(rates)),
      list === 'plain' ? '' : atMost(GOAL.bare, median(times)),
      list === 'dashboard' ? `${ratioText(median(plain))} ${atMost(GOAL.plain, median(plain))}` : '',
    ]
  })
  printTable(
    `Lists, ${REQUESTS} requests, ${IN_FLIGHT} at once, ${count} rounds: median (least–most)`,
    [
      ...['', 'processor, ms/request', 'bare node:http', 'ratio'],
      ...['requests/s', 'bare', 'ratio', 'goal of the first ratio', 'to plain apps'],
    ],
    rows,
  )
}
