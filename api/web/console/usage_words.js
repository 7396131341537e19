/**
 * What the page about usage says, in the languages that mails are written in, and what leads to the pages about schedules.
 *
 * @typedef {object} UsageWords
 * @property {string} title
 * @property {string} schedules
 * @property {string} schedule
 * @property {(until: string, zone: string) => string} lead
 * @property {string} tenant
 * @property {string} own
 * @property {string} limits
 * @property {string} days
 * @property {string} principals
 * @property {string} reports
 * @property {string} what
 * @property {string} used
 * @property {string} most
 * @property {string} none
 * @property {string} day
 * @property {string} name
 * @property {string} share
 * @property {Record<'jobs' | 'rows' | 'bytes' | 'recipients' | 'links' | 'unfinished', string>} of
 * @property {(used: string, most: string) => string} usedOf
 * @property {string} nothing
 * @property {string} nothingYet
 * @property {string} total
 */

/** @type {Record<string, UsageWords>} */
const WORDS = {
  en: {
    title: 'Usage',
    schedules: 'Schedules',
    schedule: 'Schedule this',
    lead: (until, zone) => `What was used today, until ${until}, and in the last thirty days. Days are those of ${zone}.`,
    tenant: 'Your tenant',
    own: 'You',
    limits: 'Today',
    days: 'Day by day',
    principals: 'By principal, thirty days',
    reports: 'By report, thirty days',
    what: 'What',
    used: 'Used',
    most: 'Limit',
    none: 'no limit',
    day: 'Day',
    name: 'Name',
    share: 'Share',
    of: { unfinished: 'Jobs under way', jobs: 'Jobs', rows: 'Rows', bytes: 'Size of files', recipients: 'Recipients', links: 'Links' },
    usedOf: (used, most) => `${used} of ${most}`,
    nothing: 'Nothing was used yet',
    nothingYet: 'Jobs, rows, files, recipients and links stand here once somebody asks for a report.',
    total: 'Jobs a day, the last thirty days',
  },
  de: {
    title: 'Verbrauch',
    schedules: 'Zeitpläne',
    schedule: 'Dies planen',
    lead: (until, zone) => `Was heute, bis ${until}, und in den letzten dreißig Tagen verbraucht wurde. Es zählen die Tage von ${zone}.`,
    tenant: 'Ihr Mandant',
    own: 'Sie',
    limits: 'Heute',
    days: 'Tag für Tag',
    principals: 'Nach Person, dreißig Tage',
    reports: 'Nach Bericht, dreißig Tage',
    what: 'Was',
    used: 'Verbraucht',
    most: 'Grenze',
    none: 'keine Grenze',
    day: 'Tag',
    name: 'Name',
    share: 'Anteil',
    of: { unfinished: 'Laufende Aufträge', jobs: 'Aufträge', rows: 'Zeilen', bytes: 'Größe der Dateien', recipients: 'Empfänger', links: 'Links' },
    usedOf: (used, most) => `${used} von ${most}`,
    nothing: 'Noch nichts verbraucht',
    nothingYet: 'Aufträge, Zeilen, Dateien, Empfänger und Links stehen hier, sobald jemand einen Bericht anfordert.',
    total: 'Aufträge pro Tag, die letzten dreißig Tage',
  },
  fr: {
    title: 'Consommation',
    schedules: 'Planifications',
    schedule: 'Planifier ceci',
    lead: (until, zone) => `Ce qui a été utilisé aujourd’hui, jusqu’à ${until}, et ces trente derniers jours. Les jours sont ceux de ${zone}.`,
    tenant: 'Votre organisation',
    own: 'Vous',
    limits: 'Aujourd’hui',
    days: 'Jour par jour',
    principals: 'Par personne, trente jours',
    reports: 'Par rapport, trente jours',
    what: 'Quoi',
    used: 'Utilisé',
    most: 'Limite',
    none: 'sans limite',
    day: 'Jour',
    name: 'Nom',
    share: 'Part',
    of: { unfinished: 'Tâches en cours', jobs: 'Tâches', rows: 'Lignes', bytes: 'Taille des fichiers', recipients: 'Destinataires', links: 'Liens' },
    usedOf: (used, most) => `${used} sur ${most}`,
    nothing: 'Rien n’a encore été utilisé',
    nothingYet: 'Tâches, lignes, fichiers, destinataires et liens figurent ici dès que quelqu’un demande un rapport.',
    total: 'Tâches par jour, les trente derniers jours',
  },
  es: {
    title: 'Consumo',
    schedules: 'Programaciones',
    schedule: 'Programar esto',
    lead: (until, zone) => `Lo que se ha usado hoy, hasta ${until}, y en los últimos treinta días. Los días son los de ${zone}.`,
    tenant: 'Su organización',
    own: 'Usted',
    limits: 'Hoy',
    days: 'Día a día',
    principals: 'Por persona, treinta días',
    reports: 'Por informe, treinta días',
    what: 'Qué',
    used: 'Usado',
    most: 'Límite',
    none: 'sin límite',
    day: 'Día',
    name: 'Nombre',
    share: 'Parte',
    of: { unfinished: 'Tareas en curso', jobs: 'Tareas', rows: 'Filas', bytes: 'Tamaño de los archivos', recipients: 'Destinatarios', links: 'Enlaces' },
    usedOf: (used, most) => `${used} de ${most}`,
    nothing: 'Aún no se ha usado nada',
    nothingYet: 'Tareas, filas, archivos, destinatarios y enlaces aparecen aquí en cuanto alguien pide un informe.',
    total: 'Tareas por día, los últimos treinta días',
  },
  zh: {
    title: '用量',
    schedules: '定时',
    schedule: '设为定时',
    lead: (until, zone) => `今天（至 ${until}）以及最近三十天的用量。日期按 ${zone} 计算。`,
    tenant: '您的租户',
    own: '您本人',
    limits: '今天',
    days: '逐日',
    principals: '按用户，三十天',
    reports: '按报表，三十天',
    what: '项目',
    used: '已用',
    most: '上限',
    none: '无上限',
    day: '日期',
    name: '名称',
    share: '占比',
    of: { unfinished: '进行中的任务', jobs: '任务', rows: '行数', bytes: '文件大小', recipients: '收件人', links: '链接' },
    usedOf: (used, most) => `${used} / ${most}`,
    nothing: '尚无用量',
    nothingYet: '一旦有人请求报表，任务、行数、文件、收件人和链接就会显示在这里。',
    total: '最近三十天每天的任务数',
  },
};

/** The reader's language among those that there are, else English. @returns {string} */
export function usageLanguage() {
  return navigator.languages.map((tag) => tag.split('-')[0].toLowerCase()).find((tag) => tag in WORDS) ?? 'en';
}

/** @param {string} language */
export const usageWords = (language) => WORDS[language] ?? WORDS.en;
