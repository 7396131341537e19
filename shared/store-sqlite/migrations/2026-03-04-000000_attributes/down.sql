alter table jobs drop column attributes;
alter table api_keys drop column attributes;
