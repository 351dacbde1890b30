import { Column, Entity, PrimaryColumn } from 'typeorm'

/** A running worker process and what it last saw of its Docker engine. Rows of the dead are removed by the living. */
@Entity({ name: 'worker' })
export class Worker {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'worker_pkey' })
  id!: string

  @Column({ type: 'timestamptz', name: 'started_at', default: () => 'now()' })
  startedAt!: Date

  @Column({ type: 'timestamptz', name: 'seen_at', default: () => 'now()' })
  seenAt!: Date

  /** The router that it tells of switches, and that says when it has followed; null: there is none, or it cannot say. */
  @Column({ type: 'text', nullable: true })
  router!: string | null

  /** Null: the Docker engine answers. */
  @Column({ type: 'text', name: 'docker_error', nullable: true })
  dockerError!: string | null

  @Column({ type: 'text', name: 'docker_version', nullable: true })
  dockerVersion!: string | null
}
