import { type FakeContainer, type FakeImage, type Health, variable } from './model.js'

/** What an image's containers do, said by a test. Whatever is left out is as with a web app that is well. */
export interface Behaviour {
  /** False: nothing listens. */
  readonly listens?: boolean
  /** Default: the PORT variable of the container. */
  readonly port?: number
  /** Of the app's HTTP answer; default 200. Null: it takes requests and never answers. */
  readonly status?: number | null
  readonly body?: string
  /** It starts to listen after so many milliseconds; default: when it is started. */
  readonly listensAfterMs?: number
  /** It ends with this code … */
  readonly exitCode?: number
  /** … after so many milliseconds; default: at once. */
  readonly exitAfterMs?: number
  /** Its end is one for want of memory (exit code 137). */
  readonly outOfMemory?: boolean
  /** Lines that it writes at its start. */
  readonly output?: readonly string[]
  /** What its health check says, if its image has one. */
  readonly health?: Health
  readonly healthAfterMs?: number
  /** It takes so long to end after SIGTERM; default: no time. */
  readonly stopMs?: number
  /** The engine cannot start it: its answer. */
  readonly startError?: { readonly status: number; readonly message: string }
}

export type Action =
  | { readonly kind: 'write'; readonly stream: 1 | 2; readonly text: string }
  | { readonly kind: 'repeat'; readonly text: string; readonly bytes: number }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'exit'; readonly code: number; readonly outOfMemory?: boolean }
  | { readonly kind: 'stay' }

/** What a container does from its start on. */
export interface Program {
  readonly actions: readonly Action[]
  /** Its exit code on SIGTERM; null: it pays no heed and has to be killed. */
  readonly termCode: number | null
  readonly stopMs: number
  readonly status: number | null
  readonly body: string
  readonly health: Health
  readonly healthAfterMs: number
  readonly startError: Behaviour['startError'] | null
}

/** The behaviour that a test asked for, else what the command says if it is a simple script, else a web app. */
export function programOf(
  container: FakeContainer,
  image: FakeImage | null,
  behaviour: Behaviour | null,
): Program {
  const scripted = behaviour ? null : readCommand(container)
  return {
    actions: scripted?.actions ?? actionsOf(container, behaviour ?? {}),
    termCode: scripted ? scripted.termCode : 143,
    stopMs: behaviour?.stopMs ?? 0,
    status: behaviour?.status === undefined ? 200 : behaviour.status,
    body: behaviour?.body ?? image?.body ?? container.image,
    health: behaviour?.health ?? healthOf(container),
    healthAfterMs: behaviour?.healthAfterMs ?? 0,
    startError: behaviour?.startError ?? null,
  }
}

function actionsOf(container: FakeContainer, behaviour: Behaviour): Action[] {
  const output = behaviour.output ?? []
  const actions: Action[] = output.map((line) => ({ kind: 'write', stream: 1, text: `${line}\n` }))
  const ends = behaviour.exitCode !== undefined || behaviour.outOfMemory === true
  const exitAfterMs = behaviour.exitAfterMs ?? 0
  const port = behaviour.port ?? Number(variable(container, 'PORT') ?? Number.NaN)
  const listens = behaviour.listens ?? !(ends && exitAfterMs === 0)
  if (listens && port > 0) {
    if (behaviour.listensAfterMs) actions.push({ kind: 'sleep', ms: behaviour.listensAfterMs })
    actions.push({ kind: 'listen', port })
  }
  if (!ends) return [...actions, { kind: 'stay' }]
  const { outOfMemory } = behaviour
  const code = behaviour.exitCode ?? 137
  return [...actions, { kind: 'sleep', ms: exitAfterMs }, { kind: 'exit', code, outOfMemory }]
}

function healthOf(container: FakeContainer): Health {
  return /\bexit [1-9]|\bfalse\b/.test(container.healthcheck?.Test.join(' ') ?? '') ? 'unhealthy' : 'healthy'
}

/** Null when the command is none of busybox' `sh -c`, `httpd` and `sleep`. */
function readCommand(container: FakeContainer): { actions: Action[]; termCode: number | null } | null {
  const [program = '', ...rest] = container.cmd
  const words = program.endsWith('/busybox') ? rest : [program.replace(/^.*\//, ''), ...rest]
  const isShell = words[0] === 'sh' && words[1] === '-c'
  if (!isShell && !['httpd', 'sleep'].includes(words[0] ?? '')) return null
  const script = isShell ? (words[2] ?? '') : words.join(' ')
  const trapped = /trap "exit (\d+)" TERM/.exec(script)?.[1]
  const reaped = container.hostConfig.Init === true
  return {
    actions: readScript(script, variable(container, 'PORT')),
    termCode: trapped !== undefined ? Number(trapped) : reaped ? 143 : null,
  }
}

/** What one piece of a program's output has at most. */
const PIECE_BYTES = 16 * 1024

/** The output of `yes`, cut into pieces. */
export function* repeated({ text, bytes }: Extract<Action, { kind: 'repeat' }>): Generator<string> {
  const whole = text.repeat(Math.ceil(PIECE_BYTES / text.length) + 1)
  for (let given = 0; given < bytes; given += PIECE_BYTES) {
    const from = given % text.length
    yield whole.slice(from, from + Math.min(PIECE_BYTES, bytes - given))
  }
}

/** The few words of a shell that tests use: echo, yes, sleep, exit, false, httpd, wait. Others do nothing. */
export function readScript(script: string, port: string | null = null): Action[] {
  const actions = script.split(/;|&&|\n/).flatMap((statement) => readStatement(statement.trim(), port))
  const last = actions.at(-1)?.kind
  return last === 'exit' || last === 'stay' ? actions : [...actions, { kind: 'exit', code: 0 }]
}

function readStatement(statement: string, port: string | null): Action[] {
  const words = statement.replace(/^exec /, '').replace(/^(\/bin\/)?busybox /, '')
  const number = Number(/^\w+ ([\d.]+)/.exec(words)?.[1] ?? 0)
  if (words.startsWith('echo ')) {
    const text = words.slice('echo '.length).replace(/\s*>&2$/, '')
    return [{ kind: 'write', stream: words.endsWith('>&2') ? 2 : 1, text: `${unquoted(text)}\n` }]
  }
  const [, said, isJoined, bytes] = /^yes (.*?)( \| tr -d '\\n')? \| head -c (\d+)$/.exec(words) ?? []
  if (said !== undefined)
    return [{ kind: 'repeat', text: isJoined ? said : `${said}\n`, bytes: Number(bytes) }]
  if (/^exit\b/.test(words)) return [{ kind: 'exit', code: number }]
  if (words === 'false') return [{ kind: 'exit', code: 1 }]
  if (words.endsWith('& wait')) return [{ kind: 'stay' }]
  if (words.startsWith('sleep ')) return [{ kind: 'sleep', ms: number * 1000 }]
  if (!words.startsWith('httpd')) return []
  const listens = Number(/-p (\d+)/.exec(words)?.[1] ?? port ?? 80)
  return [{ kind: 'listen', port: listens }, { kind: 'stay' }]
}

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2')
}
