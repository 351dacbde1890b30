import { Column, Entity, PrimaryColumn } from 'typeorm'

/** This installation: its id is the label by which its containers are told from everybody else's. One row. */
@Entity({ name: 'instance' })
export class Instance {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'instance_pkey' })
  id!: string

  /** A value that only the master key opens: shows at the start whether a process has the right one. */
  @Column({ type: 'text', nullable: true })
  canary!: string | null

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
