import { execFileSync, spawnSync } from 'node:child_process'
import { cpus, loadavg } from 'node:os'

/** The part of `values` that is below the quantile's value; 0.5 is the median. */
export function quantile(values: Iterable<number>, part: number): number {
  const sorted = Float64Array.from(values).sort()
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

export function median(values: Iterable<number>): number {
  return quantile(values, 0.5)
}

/** Milliseconds for a table: three figures are all that a run of this kind can say. */
export function ms(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)
}

/** `median (least–most)`. */
export function spread(values: readonly number[], text: (value: number) => string): string {
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`
}

/** Ours to theirs, paired round by round. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
}

export function ratioText(value: number): string {
  return value.toFixed(2)
}

/** `≤ 10: met`, or by how much it was missed. */
export function atMost(goal: number, value: number): string {
  return `≤ ${goal}: ${value <= goal ? 'met' : 'missed'}`
}

export function atLeast(goal: number, value: number): string {
  return `≥ ${goal}: ${value >= goal ? 'met' : 'missed'}`
}

/** Prints a plain text table under a title, with the load that the machine had when it was printed. */
export function printTable(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
      .trimEnd()
  say(`\n${title}\nload average ${loads()}`)
  for (const row of [header, widths.map((width) => '-'.repeat(width)), ...rows]) say(`  ${line(row)}`)
}

/** Load of the last 1, 5 and 15 minutes: others on the machine show here. */
export function loads(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}

export function printMachine(): void {
  const model = cpus()[0]?.model ?? 'unknown processor'
  const docker = execFileSync(
    'docker',
    ['version', '--format', '{{.Client.Version}} / {{.Server.Version}}'],
    {
      encoding: 'utf8',
    },
  )
  const git = execFileSync('git', ['--version'], { encoding: 'utf8' })
  say(
    `${new Date().toISOString()}  ${cpus().length} cores (${model}), Node.js ${process.versions.node}, ` +
      `docker client / engine ${docker.trim()}, ${git.trim()}`,
  )
}

/** The docker command line's own choice: BuildKit where its buildx component is there, else the classic builder. */
export function hasBuildx(): boolean {
  return spawnSync('docker', ['buildx', 'version'], { stdio: 'ignore' }).status === 0
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

let interrupted = false

/** After this each benchmark stops before its next round, and cleans up. */
export function interrupt(): void {
  interrupted = true
}

/** 0, 1, 2, … `count`; ends with an error after an interrupt. */
export function* rounds(count: number): Generator<number> {
  for (let round = 0; round < count; round++) {
    if (interrupted) throw new Error('interrupted')
    yield round
  }
}

/** `items`, beginning with another one each round: nobody is always first. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const start = round % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
