import { Migration } from '@mikro-orm/migrations'

const STATES = ['OPEN', 'SEALING', 'COMPLETING', 'VERIFYING', 'COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED']

export class M0003UploadStates extends Migration {
  override up(): void {
    const states = STATES.map((state) => `'${state}'`).join(', ')
    const statements = [
      `alter table upload
        add column attempts bigint not null default 0,
        add column failure_reason text null,
        add column failure_message text null,
        add column failure_part int null,
        drop constraint upload_state_check,
        add constraint upload_state_check check (state in (${states})),
        add constraint upload_failure_check check (state <> 'FAILED' or failure_reason is not null)`,
      // For unfinished uploads, the number of attempts per part is unknown.
      `update upload set attempts = 1000000 where state in ('OPEN', 'COMPLETING')`,
      `drop index upload_unfinished_unique`,
      `create unique index upload_unfinished_unique on upload (principal, namespace, digest, size_bytes)
        where resumable and state in ('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING')`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
