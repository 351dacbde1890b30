/**
 * What a deployment runs with, as it was when its work began. A container that has to be made again, a restart and a
 * rollback take it from here and not from the stage, which may have been changed since.
 */
export interface Configuration {
  /** Where its commit comes from; not there in the oldest ones. */
  readonly source?: SourceConfiguration
  readonly build: BuildConfiguration
  /** Null: what the image exposes. */
  readonly port: number | null
  /** What its containers run instead of the image's CMD. Null, or not there in older ones: the image's. */
  readonly command?: readonly string[] | null
  readonly replicas: number
  readonly memoryBytes: number
  readonly cpus: number
  readonly pids: number
  readonly health: HealthConfiguration
  /** Values are encrypted as in the stage's variables. */
  readonly variables: readonly StoredVariable[]
}

export interface SourceConfiguration {
  readonly repoUrl: string
  /** Null: the remote's default branch. */
  readonly branch: string | null
}

/** How its image is built, should it have to be. */
export interface BuildConfiguration {
  readonly contextPath: string
  readonly dockerfilePath: string
  /** The stage of the Dockerfile. Null: the last one. */
  readonly target: string | null
  readonly args: Readonly<Record<string, string>>
  /** Null: the Docker engine's own. */
  readonly platform: string | null
}

export interface HealthConfiguration {
  readonly path: string | null
  readonly intervalSeconds: number
  readonly timeoutSeconds: number
  readonly deadlineSeconds: number
  /** Null: 3 when it replaces a serving version, 0 when nothing serves yet. */
  readonly stableSeconds: number | null
}

export interface StoredVariable {
  readonly key: string
  readonly valueEncrypted: string
  readonly fingerprint: string
  /** For its build alone. Absent in what earlier versions pinned. */
  readonly buildSecret?: boolean
}
