import { Column, Entity, Index, PrimaryColumn } from 'typeorm'

/** A Git repository that is deployed under a name. */
@Entity({ name: 'app' })
@Index('app_name_unique', ['name'], { unique: true, where: '"deleted_at" IS NULL' })
@Index('app_idempotency_key', ['idempotencyKey'], {
  unique: true,
  where: '"idempotency_key" IS NOT NULL AND "deleted_at" IS NULL',
})
export class App {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'app_pkey' })
  id!: string

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'text', name: 'repo_url' })
  repoUrl!: string

  @Column({ type: 'text', nullable: true })
  branch!: string | null

  @Column({ type: 'text', name: 'dockerfile_path' })
  dockerfilePath!: string

  @Column({ type: 'text', name: 'context_path' })
  contextPath!: string

  /** The stage of the Dockerfile that is built. Null: the last one. */
  @Column({ type: 'text', nullable: true })
  target!: string | null

  /** Values of the Dockerfile's ARG instructions. They stay in the image's history: nothing secret. */
  @Column({ type: 'jsonb', name: 'build_args', default: () => `'{}'` })
  buildArgs!: Record<string, string>

  /** `os/arch` or `os/arch/variant`. Null: the Docker engine's own. */
  @Column({ type: 'text', nullable: true })
  platform!: string | null

  /** Where its container listens. Null: what the image exposes. */
  @Column({ type: 'integer', nullable: true })
  port!: number | null

  /** Globs: a push that changes none of these paths deploys nothing. Empty: every push counts. */
  @Column({ type: 'text', name: 'watch_paths', array: true, default: '{}' })
  watchPaths!: string[]

  /** What the call that created it gave, so that the same call once more creates nothing. */
  @Column({ type: 'text', name: 'idempotency_key', nullable: true })
  idempotencyKey!: string | null

  /** When one of its deployments was last claimed: the least recent app goes first. */
  @Column({ type: 'timestamptz', name: 'last_claim_at', default: () => `'1970-01-01 00:00:00+00'` })
  lastClaimAt!: Date

  /** Set: nobody sees it any more, and a worker removes what is left of it. */
  @Column({ type: 'timestamptz', name: 'deleted_at', nullable: true })
  deletedAt!: Date | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date

  @Column({ type: 'timestamptz', name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date
}
