alter table jobs drop column made_from;
