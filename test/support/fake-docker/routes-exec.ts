import { type Command, type Engine, json, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { frameOf } from './logs.js'
import { isRunning, newId, Refused } from './model.js'

/** Programs that no image has. */
const ABSENT = new Set(['curl', 'wget'])

/** Commands inside containers: the image's health check alone is known here. */
export const EXEC_ROUTES: readonly Route[] = [
  route('POST', /^\/containers\/([^/]+)\/exec$/, create),
  route('POST', /^\/exec\/([^/]+)\/start$/, start),
  route('GET', /^\/exec\/([^/]+)\/json$/, (engine, _exchange, id) => {
    const { exitCode } = find(engine, id)
    return json({ ID: id, Running: false, ExitCode: exitCode })
  }),
]

async function create(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const container = engine.state.container(name)
  const { Cmd: words = [] } = await exchange.json<{ Cmd?: string[] }>()
  if (words.length === 0) throw new Refused(400, 'No exec command specified')
  if (!isRunning(container)) throw new Refused(409, `Container ${container.id} is not running`)
  if (container.paused)
    throw new Refused(409, `Container ${name} is paused, unpause the container before exec`)
  const id = newId()
  engine.commands.set(id, { container, words, exitCode: null })
  return json({ Id: id }, 201)
}

function start(engine: Engine, _exchange: Exchange, id: string): Reply {
  const command = find(engine, id)
  const { exitCode, output } = outcomeOf(command)
  command.exitCode = exitCode
  async function* written(): AsyncGenerator<Buffer> {
    if (output !== '') yield Promise.resolve(frameOf(1, output))
  }
  return { status: 200, type: 'application/vnd.docker.raw-stream', stream: written() }
}

function outcomeOf({ container, words }: Command): { exitCode: number; output: string } {
  const [kind, ...rest] = container.healthcheck?.Test ?? []
  const check = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', ...rest] : rest
  const isKnown = words.join('\0') === check.join('\0') && !ABSENT.has(words[0] ?? '')
  if (!isKnown) {
    const program = JSON.stringify(words[0])
    return {
      exitCode: 127,
      output: `OCI runtime exec failed: exec failed: ${program}: executable file not found in $PATH: unknown\r\n`,
    }
  }
  const { health = 'unhealthy', healthAfterMs = 0 } = container.program ?? {}
  const ranMs = Date.now() - (container.startedAt?.getTime() ?? 0)
  return { exitCode: health === 'healthy' && ranMs >= healthAfterMs ? 0 : 1, output: '' }
}

function find(engine: Engine, id: string): Command {
  const found = engine.commands.get(id)
  if (!found) throw new Refused(404, `No such exec instance: ${id}`)
  return found
}
