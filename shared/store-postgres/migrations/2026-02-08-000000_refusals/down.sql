alter table events drop column refused;
alter table jobs drop column refused;
alter table jobs drop column on_refusal;
