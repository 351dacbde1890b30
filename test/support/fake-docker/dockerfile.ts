import type { Dialect } from './generations.js'
import { Refused, type Healthcheck } from './model.js'

export interface Step {
  /** As it is written: `RUN ["echo", "x"]`. */
  readonly text: string
  readonly keyword: string
  readonly rest: string
}

const KEYWORDS =
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  )

/** The steps of a Dockerfile. @throws Refused 400 with the real engine's words */
export function parseDockerfile(text: string, { words }: Dialect): Step[] {
  const lines = text.replace(/\\\n/g, '  ').split('\n')
  const steps = lines.flatMap((line, index) => {
    if (line.trim() === '' || line.trim().startsWith('#')) return []
    const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/.exec(line) ?? []
    const keyword = word.toUpperCase()
    if (KEYWORDS.includes(keyword)) return [{ text: `${keyword} ${rest}`, keyword, rest }]
    throw new Refused(400, words.badInstruction(index + 1, keyword))
  })
  if (steps.length === 0) throw new Refused(400, 'the Dockerfile (Dockerfile) cannot be empty')
  return steps
}

/** `["a", "b"]`, or a line for the shell. */
export function commandOf(rest: string): string[] {
  if (!rest.startsWith('[')) return ['/bin/sh', '-c', rest]
  return JSON.parse(rest) as string[]
}

/** `a=b "c d"=e`, or `a b`. */
export function pairsOf(rest: string): Record<string, string> {
  const found = [...rest.matchAll(/("[^"]*"|[^\s=]+)=("[^"]*"|\S*)/g)]
  const pairs = found.map(([, key = '', value = '']) => [bare(key), bare(value)] as const)
  if (pairs.length > 0) return Object.fromEntries(pairs)
  const [key = '', ...value] = rest.split(/\s+/)
  return { [key]: value.join(' ') }
}

export function healthcheckOf(rest: string): Healthcheck | null {
  const [, options = '', command = ''] = /^(.*?)\s*\bCMD\s+(.*)$/.exec(rest) ?? []
  if (command === '') return null
  const option = (name: string) => new RegExp(`--${name}=(\\S+)`).exec(options)?.[1]
  const interval = nanoseconds(option('interval'))
  const timeout = nanoseconds(option('timeout'))
  const retries = option('retries')
  const Test = command.startsWith('[') ? ['CMD', ...commandOf(command)] : ['CMD-SHELL', command]
  return {
    Test,
    ...(interval ? { Interval: interval } : {}),
    ...(timeout ? { Timeout: timeout } : {}),
    ...(retries ? { Retries: Number(retries) } : {}),
  }
}

function nanoseconds(duration: string | undefined): number {
  const [, amount = '0', unit = 's'] = /^([\d.]+)(ms|s|m)$/.exec(duration ?? '') ?? []
  return Number(amount) * (unit === 'ms' ? 1e6 : unit === 'm' ? 60e9 : 1e9)
}

function bare(text: string): string {
  return text.replace(/^"(.*)"$/, '$1')
}
