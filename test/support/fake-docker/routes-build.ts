import { setTimeout as sleep } from 'node:timers/promises'
import { type BuildMessages, BuildkitMessages, ClassicMessages } from './build-messages.js'
import { commandOf, healthcheckOf, pairsOf, parseDockerfile, type Step } from './dockerfile.js'
import { type Engine, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import type { Dialect } from './generations.js'
import { checkedReference, type FakeImage, newId, Refused } from './model.js'
import { readScript, repeated } from './program.js'
import { filesOf } from './session-files.js'
import { readTar } from './tar.js'

/** An image that is put together step by step. */
interface Draft {
  readonly image: FakeImage
  readonly messages: BuildMessages
  failed: boolean
}

export const BUILD_ROUTES: readonly Route[] = [route('POST', /^\/build$/, build)]

async function build(engine: Engine, exchange: Exchange): Promise<Reply> {
  const buildkit = exchange.query.get('version') === '2'
  const { dialect } = engine
  const messages = buildkit ? new BuildkitMessages(dialect) : new ClassicMessages()
  const tags = exchange.query.getAll('t').map((tag) => checkedReference(tag, dialect))
  const labels = JSON.parse(exchange.query.get('labels') ?? '{}') as Record<string, string>
  engine.builds.started++
  try {
    const files = await contextOf(engine, exchange)
    const all = readSteps(files, exchange.query.get('dockerfile') ?? 'Dockerfile', buildkit, dialect)
    const steps = stepsUpTo(exchange.query.get('target'), all, buildkit, dialect)
    const draft: Draft = { image: emptyImage(files, tags), messages, failed: false }
    return {
      status: 200,
      type: 'application/json',
      stream: carryOut(engine, exchange, steps, draft),
      finish: () => (draft.failed ? [] : finish(engine, draft, tags, labels)),
      failure: (code) => {
        engine.builds.failed++
        return messages.end(['/bin/false'], code).at(-1) ?? ''
      },
    }
  } catch (error) {
    return refusal(engine, exchange, error, messages, buildkit)
  }
}

/** A tar, or what BuildKit fetches over a session. */
async function contextOf(engine: Engine, exchange: Exchange): Promise<Map<string, Buffer>> {
  if (exchange.query.get('remote') !== 'client-session') return readTar(await exchange.body())
  const session = engine.sessions.get(exchange.query.get('session') ?? '')
  if (!session) throw new Refused(500, 'no active sessions')
  const recipe = await filesOf(session, 'dockerfile')
  const context = await filesOf(session, 'context', [...recipe.values()].flatMap(copiedPaths))
  return new Map([...context, ...recipe])
}

/** As BuildKit names them when it asks for files. */
function copiedPaths(recipe: Buffer): string[] {
  const copies = recipe.toString().match(/^COPY .*$/gm) ?? []
  return copies.flatMap((line) => line.split(/\s+/).slice(1, -1))
}

/** BuildKit tells in its stream what the classic builder refuses before. */
function refusal(
  engine: Engine,
  exchange: Exchange,
  error: unknown,
  messages: BuildMessages,
  buildkit: boolean,
): Reply {
  if (!exchange.signal.aborted) engine.builds.failed++
  if (!(error instanceof Refused) || !buildkit) throw error
  const why = error.message.replace('Dockerfile (Dockerfile)', 'Dockerfile')
  async function* says(): AsyncGenerator<string> {
    const said = engine.dialect.words.unsolvable(why)
    yield* messages.begin(1, 1, '[internal] load remote build context')
    yield await Promise.resolve(messages.error(said))
  }
  return { status: 200, type: 'application/json', stream: says() }
}

function readSteps(
  files: ReadonlyMap<string, Buffer>,
  dockerfile: string,
  buildkit: boolean,
  dialect: Dialect,
): Step[] {
  const text = files.get(dockerfile)
  if (text) return parseDockerfile(text.toString('utf8'), dialect)
  const why = buildkit
    ? dialect.words.missingDockerfile(dockerfile)
    : `Cannot locate specified Dockerfile: ${dockerfile}`
  throw new Refused(500, why)
}

/** The steps of the stages up to the one that is wanted. */
function stepsUpTo(target: string | null, steps: Step[], buildkit: boolean, { words }: Dialect): Step[] {
  if (target === null) return steps
  const begin = steps.findIndex(
    ({ keyword, rest }) => keyword === 'FROM' && rest.split(/\s+/).at(-1) === target && / as /i.test(rest),
  )
  if (begin < 0) {
    const why = buildkit ? words.missingStage(target) : `failed to reach build target ${target} in Dockerfile`
    throw new Refused(400, why)
  }
  const next = steps.findIndex(({ keyword }, index) => keyword === 'FROM' && index > begin)
  return next < 0 ? steps : steps.slice(0, next)
}

/** A script with the values of build arguments in the place of their names. */
function withArgs(exchange: Exchange, script: string): string {
  const args = JSON.parse(exchange.query.get('buildargs') ?? '{}') as Record<string, string>
  return script.replace(/\$(\w+)/g, (name, key: string) => args[key] ?? name)
}

function emptyImage(files: ReadonlyMap<string, Buffer>, tags: readonly string[]): FakeImage {
  const page = files.get('www/index.html')?.toString('utf8')
  return {
    id: `sha256:${newId()}`,
    tags: [],
    labels: {},
    exposedPorts: [],
    env: [],
    cmd: [],
    healthcheck: null,
    size: 4_000_000,
    created: new Date(),
    body: page ?? tags[0] ?? '',
  }
}

async function* carryOut(
  engine: Engine,
  exchange: Exchange,
  steps: readonly Step[],
  draft: Draft,
): AsyncGenerator<string> {
  for (const [index, step] of steps.entries()) {
    yield* draft.messages.begin(index + 1, steps.length, step.text)
    if (step.keyword === 'FROM') {
      const error = takeBase(engine, step, draft)
      if (error) yield error
    } else if (step.keyword === 'RUN') yield* run(exchange, step, draft)
    else {
      apply(step, draft.image)
      yield* draft.messages.end([], 0)
    }
    if (draft.failed) {
      engine.builds.failed++
      return
    }
  }
}

function takeBase(engine: Engine, step: Step, draft: Draft): string | null {
  const name = step.rest.split(/\s+/)[0] ?? ''
  const base = engine.state.findImage(name)
  if (!base && name !== 'scratch') {
    draft.failed = true
    return draft.messages.error(`failed to solve: ${name}: not found`)
  }
  const { labels = {}, exposedPorts = [], env = [], cmd = [], healthcheck = null } = base ?? {}
  Object.assign(draft.image, { exposedPorts: [...exposedPorts], env: [...env], cmd: [...cmd], healthcheck })
  draft.image.labels = { ...labels }
  return draft.messages.end([], 0).at(-1) ?? null
}

async function* run(exchange: Exchange, step: Step, draft: Draft): AsyncGenerator<string> {
  const command = commandOf(step.rest)
  const script = command.includes('-c') ? (command.at(-1) ?? '') : command.join(' ')
  for (const action of readScript(withArgs(exchange, script))) {
    if (action.kind === 'write') yield* draft.messages.write(action.stream, action.text)
    if (action.kind === 'repeat') for (const piece of repeated(action)) yield* draft.messages.write(1, piece)
    if (action.kind === 'sleep') await sleep(action.ms, undefined, { signal: exchange.signal })
    if (action.kind !== 'exit') continue
    draft.failed = action.code !== 0
    yield* draft.messages.end(command, action.code)
    return
  }
}

function apply({ keyword, rest }: Step, image: FakeImage): void {
  if (keyword === 'LABEL') Object.assign(image.labels, pairsOf(rest))
  if (keyword === 'ENV') {
    image.env.push(...Object.entries(pairsOf(rest)).map(([key, value]) => `${key}=${value}`))
  }
  if (keyword === 'EXPOSE') {
    image.exposedPorts.push(...rest.split(/\s+/).map((port) => (port.includes('/') ? port : `${port}/tcp`)))
  }
  if (keyword === 'CMD') image.cmd = commandOf(rest)
  if (keyword === 'HEALTHCHECK') image.healthcheck = healthcheckOf(rest)
}

function finish(
  engine: Engine,
  { image, messages }: Draft,
  tags: readonly string[],
  labels: Readonly<Record<string, string>>,
): string[] {
  Object.assign(image.labels, labels)
  engine.onBuild(image)
  engine.state.images.set(image.id, image)
  for (const tag of tags) engine.events.image(image, 'tag', engine.state.tag(image, tag))
  engine.builds.finished++
  return [...messages.result(image.id), ...tags.flatMap((tag) => messages.tagged(tag))]
}
